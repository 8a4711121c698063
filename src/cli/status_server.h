#pragma once

#include <memory>
#include <string>

#include "base/result.h"

namespace sluice::pipeline {
class PipelineHost;
}

namespace sluice::cli {

// What a program that runs pipelines says of itself over HTTP: /metrics (Prometheus), /healthz (it lives),
// /readyz (503 with the reasons while a pipeline is not well).
class StatusServer {
 public:
  virtual ~StatusServer() = default;
  // `PORT`, `HOST:PORT` or `[V6]:PORT`; port 0 = any free one. `host` outlives it. Errors: those of
  // net::HttpServer.
  static Result<std::unique_ptr<StatusServer>> Start(const std::string& address,
                                                     pipeline::PipelineHost& host);
  virtual std::string url() const = 0;
};

}  // namespace sluice::cli

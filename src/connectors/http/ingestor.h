#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/tls.h"
#include "pipeline/connector.h"
#include "pipeline/environment.h"

namespace sluice::connectors::http {

struct IngestorOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 0;
  std::string path = "/ingest";
  uint64_t max_body_bytes = 16 << 20;
  std::map<std::string, std::string> tokens;  // tenant -> token
  std::string token;                          // of no tenant
  std::vector<std::string> tenants;           // the only ones; empty = any
  double rate = 0;                            // records per second and tenant; 0 = no limit
  std::optional<net::TlsFiles> tls;
  // How long a request waits for room in the pipeline before it is told to come again.
  std::chrono::milliseconds patience{2000};
};

// `127.0.0.1:5000`, `[::1]:5000`, `:5000` (all addresses). Errors: kInvalidArgument.
Status ParseListen(const std::string& listen, IngestorOptions* options);

// Receives records by POST (pipelines.md 2) and answers when their outcome is known; a request that waits
// holds a connection, no thread. Thread rule: as pipeline::Ingestor. `environment` outlives it.
std::unique_ptr<pipeline::Ingestor> MakeIngestor(IngestorOptions options, pipeline::Environment& environment);

}  // namespace sluice::connectors::http

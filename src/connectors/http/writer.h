#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "pipeline/connector.h"
#include "pipeline/environment.h"

namespace sluice::connectors::http {

struct WriterOptions {
  std::string url;
  // Records in a POST. 1 = one JSON object, as the original; more = NDJSON; 0 = as many as come, when the
  // other side says that it takes several, else 1.
  int64_t batch = 1;
  std::chrono::milliseconds timeout{5000};  // of each POST
  int connections = 8;                      // busy at a time
  uint64_t max_body_bytes = 8 << 20;        // larger batches are cut
  std::map<std::string, std::string> headers;
  std::string ca_file;
};

// Sends records by POST (pipelines.md 2). Records of one Write go over several connections at once, so that
// only `connections: 1` keeps their order. Thread rule: as pipeline::IngestionWriter. Errors of this call:
// kInvalidArgument for a URL that is none.
Result<std::unique_ptr<pipeline::IngestionWriter>> MakeWriter(WriterOptions options,
                                                              pipeline::Environment& environment);

}  // namespace sluice::connectors::http

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/connector.h"

namespace sluice::pipeline {

// Dead letters of a file (NDJSON with a field `dead_letter`) that go one way: those that lack the same parts
// of the writer, and begin before or behind the processors.
struct ReplayPass {
  std::string path;
  uint64_t size_bytes = 0;           // what stands behind was rejected while they were sent again
  std::vector<std::string> writers;  // in order; empty = all
  bool is_processed = false;         // the processors have seen them
};

// The passes that send all letters of a file again; at least one. Errors: the file cannot be read.
Result<std::vector<ReplayPass>> PlanReplay(const std::string& path);

// A finite ingestor that sends the letters of a pass again, the field `dead_letter` taken off; a text that
// was no record is read again by the ingestor that refused it. Errors of Start: the file cannot be read.
std::unique_ptr<Ingestor> MakeReplayIngestor(ReplayPass pass,
                                             std::map<std::string, std::unique_ptr<Ingestor>> readers);

}  // namespace sluice::pipeline

#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace sluice::ingest {

// Told how an ingestion gets on; called from its thread a few times a second at most is the receiver's
// business.
class Progress {
 public:
  virtual ~Progress() = default;
  virtual void OnInput(const std::string& name, std::optional<uint64_t> total_bytes) {}
  virtual void OnRead(uint64_t bytes, int64_t rows) {}
  virtual void OnStage(const std::string& stage) {}
  // Building an index: `done` of `total` rows.
  virtual void OnIndex(int64_t done, int64_t total) {}
};

}  // namespace sluice::ingest

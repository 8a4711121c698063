#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gateway/gateway.h"

namespace sluice::server {

// Compaction of datasets at set times (docs/adr/0010). Nothing is compacted that no rule names.
struct CompactionRule {
  std::string datasets;  // a name, or a pattern with `%`
  std::chrono::seconds every{24 * 3600};
  uint64_t max_slice_records = 10'000;
  uint64_t max_slice_bytes = 300'000'000;
};

// Runs the rules on a thread of its own, one dataset at a time, each rule first after its interval.
// Thread-safe.
class Compactor {
 public:
  virtual ~Compactor() = default;  // ends a running compaction, which leaves its dataset as it was
  // `report` is told of every compaction that changed something, and of every failure.
  static std::unique_ptr<Compactor> Start(
      workspace::Workspace& workspace, gateway::Gateway& gateway, std::vector<CompactionRule> rules,
      std::function<void(const std::string& dataset, const Status& outcome)> report);
};

}  // namespace sluice::server

#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::pipeline {

// What a stage of a pipeline has done so far. Thread-safe.
struct StageCounters {
  std::string stage;      // `ingestor`, `processor`, `writer`, `branch`, `dead_letter`, `spool`
  std::string connector;  // `0_http`: place in its list, and type
  std::atomic<uint64_t> records{0};
  std::atomic<uint64_t> batches{0};
  std::atomic<uint64_t> bytes{0};
  std::atomic<uint64_t> duplicates{0};
  std::atomic<uint64_t> rejected{0};
  std::atomic<uint64_t> failed{0};   // told to the upstream
  std::atomic<uint64_t> retries{0};  // records tried again
  std::atomic<uint64_t> lost{0};     // that did not get there and are kept nowhere
  std::atomic<uint64_t> busy_micros{0};
};

// What became of records as they came in, whatever processors made of them, when all have their outcome:
// taken + found = accepted + duplicates + rejected + failed + what waits in the spool, Waiting().
struct Balance {
  std::atomic<uint64_t> taken{0};
  std::atomic<uint64_t> found{0};     // in the spool, of earlier runs
  std::atomic<uint64_t> accepted{0};  // by the writer, or left out
  std::atomic<uint64_t> dropped{0};   // those of them that processors left out
  std::atomic<uint64_t> duplicates{0};
  std::atomic<uint64_t> rejected{0};
  std::atomic<uint64_t> failed{0};     // their upstream delivers them again
  std::atomic<uint64_t> spooled{0};    // acknowledged by the spool
  std::atomic<uint64_t> unspooled{0};  // with an outcome since, those that were found as well

  uint64_t Waiting() const { return spooled + found - unspooled; }
};

// The counters of one pipeline. Thread-safe; counters live as long as it does.
class PipelineMetrics {
 public:
  explicit PipelineMetrics(std::string pipeline) : pipeline_(std::move(pipeline)) {}

  const std::string& pipeline() const { return pipeline_; }
  // Those of the name, made when there are none yet.
  StageCounters& Stage(std::string stage, std::string connector);
  void CountTenant(std::string_view tenant, uint64_t records, uint64_t bytes, uint64_t refused);
  // Values as they are now, set before each rendering.
  std::atomic<int64_t> in_flight_records{0};
  std::atomic<uint64_t> in_flight_bytes{0};
  std::atomic<uint64_t> spool_bytes{0};
  std::atomic<int64_t> lag_millis{0};  // age of the oldest record whose outcome is not known
  std::atomic<bool> is_ready{false};
  Balance balance;

  std::vector<const StageCounters*> stages() const;
  // Appends Prometheus text without the HELP and TYPE lines, family by family as `families` asks.
  void Render(std::string_view family, std::string* out) const;

 private:
  struct Tenant {
    uint64_t records = 0, bytes = 0, refused = 0;
  };
  const std::string pipeline_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<StageCounters>> stages_;
  std::map<std::string, Tenant, std::less<>> tenants_;
};

// The text of several pipelines in the Prometheus format.
std::string RenderMetrics(const std::vector<const PipelineMetrics*>& pipelines);

}  // namespace sluice::pipeline

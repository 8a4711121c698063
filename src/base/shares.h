#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace sluice {

// Something bounded that tenants share: memory for waiting batches, space in the queue. A tenant that is
// alone may use all of it. Where several have come, each may hold at most four times what is free ("dynamic
// thresholds", Choudhury and Hahne 1998): whoever floods the node leaves a part for the others, without that
// anything is set aside for tenants that do not come. Thread-safe.
class Shares {
 public:
  explicit Shares(uint64_t capacity) : capacity_(capacity) {}

  // Whether `tenant` may take so much more. From its first question on a tenant counts as one that comes.
  bool MayTake(const std::string& tenant, uint64_t amount);
  // Takes it if MayTake says so.
  bool TakeIfAllowed(const std::string& tenant, uint64_t amount);
  // Whatever MayTake says.
  void Take(const std::string& tenant, uint64_t amount);
  void Give(const std::string& tenant, uint64_t amount);

  uint64_t total() const;
  // What each holds now.
  std::map<std::string, uint64_t> held() const;

 private:
  bool IsAllowed(const std::string& tenant, uint64_t amount);  // under mutex_

  static constexpr uint64_t kTimesFree = 4;
  // Names of tenants that hold nothing are forgotten beyond this.
  static constexpr size_t kMostIdle = 1000;

  const uint64_t capacity_;
  mutable std::mutex mutex_;
  uint64_t total_ = 0;                    // under mutex_
  std::map<std::string, uint64_t> held_;  // under mutex_
};

}  // namespace sluice

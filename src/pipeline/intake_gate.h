#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "pipeline/config.h"
#include "pipeline/connector.h"

namespace sluice::pipeline {

// What is checked and filled in when records come in: the tenant, identifiers, refusals.
struct Admitted {
  std::vector<std::pair<int64_t, std::string>> refused;  // rows of the delivery, and why
  std::vector<int32_t> rows;                             // the others; empty with `is_all`
  bool is_all = true;
  std::string flow;                                              // the tenant, when it is one
  std::map<std::string, std::pair<uint64_t, uint64_t>> tenants;  // records and bytes
};

// Sets `tenant_id` where the credential fixes it, refuses rows with another one or an unknown one, fills
// identifiers. Errors: kInternal for a batch that is none.
Result<Admitted> Admit(const TenantOptions& options, Delivery* delivery);

// How much each tenant may send. Thread-safe.
class TenantBuckets {
 public:
  explicit TenantBuckets(const TenantOptions& options) : options_(options) {}

  // Takes what is sent from the tenants' allowances; waits, at most `patience`, while one is used up. Errors:
  // kResourceExhausted naming the tenant; nothing was taken then, and `how_long` says until when.
  Status Spend(const std::map<std::string, std::pair<uint64_t, uint64_t>>& tenants, Millis patience,
               Millis* how_long);
  // What was spent for records that were not taken after all.
  void GiveBack(const std::map<std::string, std::pair<uint64_t, uint64_t>>& tenants);

 private:
  struct Bucket {
    double records = 0, bytes = 0;  // allowance; below 0 = in debt
    std::chrono::steady_clock::time_point updated;
  };
  const TenantLimits& LimitsOf(const std::string& tenant) const;
  void Add(const std::map<std::string, std::pair<uint64_t, uint64_t>>& tenants, double sign);
  // How long until all have something left; 0 when they have.
  Millis WaitFor(const std::map<std::string, std::pair<uint64_t, uint64_t>>& tenants, std::string* who);

  const TenantOptions& options_;
  std::mutex mutex_;
  std::map<std::string, Bucket> buckets_;
};

}  // namespace sluice::pipeline

#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace sluice::server {

// What an account may use; absent = as much as it likes.
struct Quota {
  std::optional<double> requests_per_second, bytes_per_second;  // saved up for ten seconds
  std::optional<uint64_t> datasets;
};

// Counts what accounts use. Thread-safe.
class Quotas {
 public:
  using Time = std::chrono::steady_clock::time_point;
  Quotas(Quota fallback, std::map<std::string, Quota> accounts)
      : fallback_(fallback), accounts_(std::move(accounts)) {}

  const Quota& Of(const std::string& account) const;
  // Counts one request with a body of that size; nothing, or the whole seconds (1 or more) after which to try
  // again: then nothing was counted. A body larger than what can be saved up passes too, and is waited for
  // afterwards.
  std::optional<int> Take(const std::string& account, uint64_t body_bytes, Time now);

  // What accounts have used since the start, for the metrics. At most kMostAccounts by name; what others use
  // counts for the empty name.
  struct Use {
    uint64_t requests = 0, bytes = 0, refused = 0;
  };
  std::map<std::string, Use> uses() const;
  static constexpr size_t kMostAccounts = 1000;

 private:
  struct Bucket {
    double left = 0;
    Time at{};
    bool is_used = false;
  };
  struct Account {
    Bucket requests, bytes;
    Use use;
  };
  static void Refill(Bucket& bucket, double rate, Time now);

  const Quota fallback_;
  const std::map<std::string, Quota> accounts_;
  mutable std::mutex mutex_;
  std::map<std::string, Account> known_;  // under mutex_
  Account others_;                        // under mutex_
};

}  // namespace sluice::server

#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "multiformats/multihash.h"
#include "net/headers.h"

namespace sluice::connectors::http {

// Who a request comes from.
struct Caller {
  std::string tenant;  // whose records alone it may bring; empty = the records say
};

// The tokens of a configuration. Kept as digests, so that a look-up tells nothing by its time. Immutable.
class Callers {
 public:
  // `tokens`: tenant -> token. `token` is of no tenant, empty = none.
  Callers(const std::map<std::string, std::string>& tokens, const std::string& token);

  // Nothing when the request shows no token that is known. Without any token in the configuration everybody
  // is welcome.
  std::optional<Caller> Find(const net::Headers& headers) const;
  bool is_open() const { return by_digest_.empty(); }

 private:
  std::unordered_map<multiformats::Multihash, Caller> by_digest_;
};

// How many records a second each tenant may bring; a second's worth at once. Thread-safe.
class RateLimit {
 public:
  using Clock = std::chrono::steady_clock;
  explicit RateLimit(double records_per_second) : rate_(records_per_second) {}

  // Takes the records from each tenant's allowance, or none from any and says how long to wait. More than a
  // second's worth is let through by a tenant that has its whole allowance, which then is that much in debt.
  std::optional<std::chrono::milliseconds> Take(const std::map<std::string, int64_t, std::less<>>& records,
                                                Clock::time_point now) EXCLUDES(mutex_);

 private:
  struct Bucket {
    double left = 0;
    Clock::time_point at;
  };
  double LeftOf(const Bucket& bucket, Clock::time_point now) const;

  const double rate_;  // 0 = no limit
  Mutex mutex_;
  std::map<std::string, Bucket, std::less<>> buckets_ GUARDED_BY(mutex_);
};

}  // namespace sluice::connectors::http

#include "server/quotas.h"

#include <algorithm>
#include <cmath>

namespace sluice::server {
namespace {

constexpr double kSavedSeconds = 10;
constexpr double kLongestWait = 3600;

}  // namespace

const Quota& Quotas::Of(const std::string& account) const {
  const auto it = accounts_.find(account);
  return it == accounts_.end() ? fallback_ : it->second;
}

void Quotas::Refill(Bucket& bucket, double rate, Time now) {
  const double most = std::max(1.0, rate * kSavedSeconds);
  if (!bucket.is_used) {
    bucket.left = most;
  } else {
    const std::chrono::duration<double> passed = now - bucket.at;
    bucket.left = std::min(most, bucket.left + std::max(0.0, passed.count()) * rate);
  }
  bucket.is_used = true;
  bucket.at = now;
}

std::optional<int> Quotas::Take(const std::string& account, uint64_t body_bytes, Time now) {
  const Quota& quota = Of(account);
  std::lock_guard lock(mutex_);
  auto it = known_.find(account);
  if (it == known_.end() && known_.size() < kMostAccounts) it = known_.try_emplace(account).first;
  Account& mine = it == known_.end() ? others_ : it->second;
  double wait = 0;
  if (const auto rate = quota.requests_per_second) {
    Refill(mine.requests, *rate, now);
    if (mine.requests.left < 1) wait = (1 - mine.requests.left) / *rate;
  }
  if (const auto rate = quota.bytes_per_second) {
    Refill(mine.bytes, *rate, now);
    if (mine.bytes.left <= 0) wait = std::max(wait, (1 - mine.bytes.left) / *rate);
  }
  if (wait > 0) {
    ++mine.use.refused;
    return static_cast<int>(std::clamp(std::ceil(wait), 1.0, kLongestWait));
  }
  mine.requests.left -= 1;
  mine.bytes.left -= static_cast<double>(body_bytes);
  ++mine.use.requests;
  mine.use.bytes += body_bytes;
  return std::nullopt;
}

std::map<std::string, Quotas::Use> Quotas::uses() const {
  std::lock_guard lock(mutex_);
  std::map<std::string, Use> all;
  for (const auto& [name, account] : known_) all[name] = account.use;
  if (others_.use.requests + others_.use.refused > 0) {
    auto& rest = all[""];
    rest.requests += others_.use.requests;
    rest.bytes += others_.use.bytes;
    rest.refused += others_.use.refused;
  }
  return all;
}

}  // namespace sluice::server

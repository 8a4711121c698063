#include "connectors/http/callers.h"

#include <algorithm>

namespace sluice::connectors::http {
namespace {

// Of tenants whose allowance is remembered; those that have theirs whole again are forgotten first.
constexpr size_t kMaxBuckets = 10'000;

}  // namespace

Callers::Callers(const std::map<std::string, std::string>& tokens, const std::string& token) {
  for (const auto& [tenant, secret] : tokens)
    by_digest_.emplace(multiformats::Sha3Multihash(secret), Caller{tenant});
  if (!token.empty()) by_digest_.emplace(multiformats::Sha3Multihash(token), Caller{});
}

std::optional<Caller> Callers::Find(const net::Headers& headers) const {
  if (by_digest_.empty()) return Caller{};
  constexpr std::string_view kScheme = "Bearer ";
  const std::string value = headers.Find("Authorization").value_or("");
  if (value.size() < kScheme.size() ||
      !net::EqualsIgnoringCase(std::string_view(value).substr(0, kScheme.size()), kScheme))
    return std::nullopt;
  const std::string_view token = net::Trimmed(std::string_view(value).substr(kScheme.size()));
  const auto found = by_digest_.find(multiformats::Sha3Multihash(token));
  if (found == by_digest_.end()) return std::nullopt;
  return found->second;
}

double RateLimit::LeftOf(const Bucket& bucket, Clock::time_point now) const {
  const std::chrono::duration<double> passed = now - bucket.at;
  return std::min(rate_, bucket.left + passed.count() * rate_);
}

std::optional<std::chrono::milliseconds> RateLimit::Take(
    const std::map<std::string, int64_t, std::less<>>& records, Clock::time_point now) {
  if (rate_ <= 0) return std::nullopt;
  MutexLock lock(mutex_);
  if (buckets_.size() + records.size() > kMaxBuckets) {
    std::erase_if(buckets_, [&](const auto& entry) { return LeftOf(entry.second, now) >= rate_; });
  }
  for (const auto& [tenant, count] : records) {
    const auto bucket = buckets_.try_emplace(tenant, Bucket{rate_, now}).first;
    const double left = LeftOf(bucket->second, now);
    const double needed = std::min(rate_, static_cast<double>(count));
    if (left >= needed) continue;
    const double seconds = (needed - left) / rate_;
    return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000) + 1);
  }
  for (const auto& [tenant, count] : records) {
    Bucket& bucket = buckets_[tenant];
    bucket = {LeftOf(bucket, now) - static_cast<double>(count), now};
  }
  return std::nullopt;
}

}  // namespace sluice::connectors::http

#include "connectors/rest/pace.h"

#include <algorithm>

#include "net/http_condition.h"
#include "pipeline/backoff.h"

namespace sluice::connectors::rest {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kLongest{3600};

milliseconds Clamped(int64_t wait_seconds) {
  return seconds(std::clamp<int64_t>(wait_seconds, 0, kLongest.count()));
}

std::optional<int64_t> Either(const net::Headers& headers, const char* one, const char* other) {
  return headers.Contains(one) ? net::NumberIn(headers, one) : net::NumberIn(headers, other);
}

}  // namespace

std::optional<milliseconds> UntilReset(const net::Headers& headers, int64_t now_seconds) {
  if (Either(headers, "X-RateLimit-Remaining", "RateLimit-Remaining") != 0) return std::nullopt;
  const auto at = Either(headers, "X-RateLimit-Reset", "RateLimit-Reset");
  if (!at) return std::nullopt;
  constexpr int64_t kNoSpan = 1'000'000'000;  // more is a time, not a number of seconds from now
  return Clamped(*at > kNoSpan ? *at - now_seconds + 1 : *at);
}

Pace::Pace(double requests_per_second)
    : gap_(requests_per_second > 0 ? std::chrono::duration_cast<Clock::duration>(
                                         std::chrono::duration<double>(1 / requests_per_second))
                                   : Clock::duration(0)),
      next_(Clock::now()) {}

bool Pace::Wait(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const auto now = Clock::now();
    if (now >= next_) {
      next_ = now + gap_;
      return true;
    }
    const auto rest = std::chrono::ceil<milliseconds>(next_ - now);
    pipeline::SleepFor(rest, stop);
  }
  return false;
}

void Pace::Hold(milliseconds pause) { next_ = std::max(next_, Clock::now() + pause); }

}  // namespace sluice::connectors::rest

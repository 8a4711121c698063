#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>

#include "net/headers.h"

namespace sluice::connectors::rest {

// `Sun, 06 Nov 1994 08:49:37 GMT`, in seconds since 1970; nothing for what is none.
std::optional<int64_t> ParseHttpDate(const std::string& text);
// What `Retry-After` says: seconds, or a date. At most an hour; nothing where it says nothing.
std::optional<std::chrono::milliseconds> RetryAfter(const net::Headers& headers, int64_t now_seconds);
// How long to wait before the next request because this answer used the allowance up: X-RateLimit-Remaining
// (or RateLimit-Remaining) is 0; then until X-RateLimit-Reset, in seconds since 1970 or from now. At most an
// hour.
std::optional<std::chrono::milliseconds> UntilReset(const net::Headers& headers, int64_t now_seconds);

// When the next request may be sent: so many a second, and not before the server lets us. Confined.
class Pace {
 public:
  // 0 = as many as can be.
  explicit Pace(double requests_per_second);

  // Waits for the turn. False when stopped.
  bool Wait(const std::stop_token& stop);
  void Hold(std::chrono::milliseconds pause);

 private:
  using Clock = std::chrono::steady_clock;
  const Clock::duration gap_;
  Clock::time_point next_;
};

}  // namespace sluice::connectors::rest

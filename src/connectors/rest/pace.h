#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>

#include "net/headers.h"

namespace sluice::connectors::rest {

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

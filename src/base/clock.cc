#include "base/clock.h"

#include <chrono>

namespace sluice {

Instant SystemClock::Now() const {
  return Instant::FromNanos(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                std::chrono::system_clock::now().time_since_epoch())
                                .count());
}

}  // namespace sluice

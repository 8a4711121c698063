#include <cstdlib>
#include <cstring>
#include <string_view>

#include "poll/cron.h"

// Eight bytes of time, then an expression: the times that it gives lie ahead, on a full minute, and in order.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 8) return 0;
  uint64_t seconds = 0;
  std::memcpy(&seconds, data, 8);
  const std::string_view text(reinterpret_cast<const char*>(data) + 8, size - 8);
  const auto cron = sluice::poll::Cron::Parse(text);
  if (!cron.ok()) {
    if (cron.error().code() != sluice::ErrorCode::kInvalidArgument) std::abort();
    return 0;
  }
  // Years 1970 to 9000.
  sluice::Instant time{static_cast<int64_t>(seconds % 221'000'000'000), 0};
  for (int i = 0; i < 3; ++i) {
    const auto next = cron->NextAfter(time);
    if (!(time < next) || next.seconds % 60 != 0 || next.nanoseconds != 0) std::abort();
    time = next;
  }
  return 0;
}

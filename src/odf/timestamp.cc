#include <cstring>

#include "odf/timestamp_internal.h"

namespace sluice::odf {
namespace {

constexpr int64_t kSecondsPerDay = 86400;
constexpr uint32_t kNanosPerSecond = 1000000000;

}  // namespace

std::array<char, 16> ToTimestampBytes(Instant instant) {
  int64_t days = instant.seconds / kSecondsPerDay;
  if (instant.seconds % kSecondsPerDay < 0) --days;
  const int64_t year = CivilFromDays(days).year;
  const auto wire_year = static_cast<int32_t>(year);
  const auto day_of_year = static_cast<uint16_t>(days - DaysFromCivil(year, 1, 1) + 1);
  const auto second_of_day = static_cast<uint32_t>(instant.seconds - days * kSecondsPerDay);
  std::array<char, 16> bytes{};
  std::memcpy(bytes.data(), &wire_year, 4);
  std::memcpy(bytes.data() + 4, &day_of_year, 2);
  std::memcpy(bytes.data() + 8, &second_of_day, 4);
  std::memcpy(bytes.data() + 12, &instant.nanoseconds, 4);
  return bytes;
}

std::optional<Instant> FromTimestampBytes(const char* bytes) {
  int32_t year;
  uint16_t day_of_year;
  uint32_t second_of_day, nanos;
  std::memcpy(&year, bytes, 4);
  std::memcpy(&day_of_year, bytes + 4, 2);
  std::memcpy(&second_of_day, bytes + 8, 4);
  std::memcpy(&nanos, bytes + 12, 4);
  const int64_t first = DaysFromCivil(year, 1, 1);
  const int64_t length = DaysFromCivil(static_cast<int64_t>(year) + 1, 1, 1) - first;
  if (day_of_year < 1 || day_of_year > length || second_of_day >= kSecondsPerDay ||
      nanos >= 2 * kNanosPerSecond) {
    return std::nullopt;
  }
  Instant instant{(first + day_of_year - 1) * kSecondsPerDay + second_of_day, nanos};
  if (nanos >= kNanosPerSecond) {
    instant.seconds += 1;
    instant.nanoseconds -= kNanosPerSecond;
  }
  return instant;
}

}  // namespace sluice::odf

#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice {

// A point in time, UTC, with nanoseconds; proleptic Gregorian, years may be negative.
struct Instant {
  int64_t seconds = 0;       // since 1970-01-01T00:00:00Z
  uint32_t nanoseconds = 0;  // 0 .. 999,999,999

  auto operator<=>(const Instant&) const = default;

  static Instant FromMillis(int64_t millis);
  static Instant FromNanos(int64_t nanos);
  // Floor to milliseconds since the epoch.
  int64_t ToMillis() const;
  Instant TruncatedToMillis() const { return FromMillis(ToMillis()); }
};

// Civil date arithmetic (days since 1970-01-01), proleptic Gregorian.
int64_t DaysFromCivil(int64_t year, unsigned month, unsigned day);
struct CivilDate {
  int64_t year;
  unsigned month;
  unsigned day;
};
CivilDate CivilFromDays(int64_t days);

// RFC 3339 with any offset; needs a zone. Errors: kInvalidArgument naming the text.
Result<Instant> ParseInstant(std::string_view text);
// UTC with `Z`; fraction omitted or 3, 6 or 9 digits as needed.
std::string FormatInstant(Instant instant);

}  // namespace sluice

#pragma once

#include <cstdint>
#include <string_view>

#include "base/instant.h"

// Scalars from text, as odf-ingest.md 1.5 accepts them: nothing is trimmed, the whole text must be used,
// nothing is rounded away silently except digits of a fraction that the target's unit cannot hold.
namespace sluice::columnar {

enum class ParseOutcome : uint8_t { kOk, kMalformed, kOutOfRange };

// Decimal digits with an optional sign.
ParseOutcome ParseInt64(std::string_view text, int64_t* value);
ParseOutcome ParseUInt64(std::string_view text, uint64_t* value);

// Decimal or scientific; inf, infinity and nan in any case. Out of range is what would become infinite.
ParseOutcome ParseDouble(std::string_view text, double* value);
ParseOutcome ParseFloat(std::string_view text, float* value);

// `true` and `false` in any case.
bool ParseBool(std::string_view text, bool* value);

// `YYYY-MM-DD` as days since 1970-01-01.
bool ParseDate(std::string_view text, int32_t* days);

// `HH:MM:SS[.f]` as nanoseconds since midnight.
bool ParseTimeOfDay(std::string_view text, int64_t* nanos);

// A date alone (midnight); or date, `T`, `t` or space, time with or without colons, optional fraction, then
// nothing (UTC), `Z`, an offset (`+hh:mm`, `+hhmm`, `+hh`) or an IANA zone. A local time that a zone skips is
// malformed; of two, the earlier.
bool ParseTimestamp(std::string_view text, Instant* instant);

// Seconds from UTC for `Z`, an offset or an IANA zone, the last at local time `local_seconds` since 1970.
bool ParseZone(std::string_view text, int64_t local_seconds, int64_t* offset_seconds);

bool IsCivilDate(int64_t year, int64_t month, int64_t day);

}  // namespace sluice::columnar

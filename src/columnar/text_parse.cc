#include "columnar/text_parse.h"

#include <arrow/vendored/datetime/tz.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <limits>
#include <string>

namespace sluice::columnar {
namespace {

constexpr int64_t kSecondsPerDay = 86400;

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] | 0x20) : text[i];
    if (c != lower[i]) return false;
  }
  return true;
}

unsigned Digit(char c) { return static_cast<unsigned>(static_cast<unsigned char>(c)) - '0'; }

// Two digits; anything else sets a bit of `bad`.
unsigned TwoDigits(const char* p, unsigned* bad) {
  const unsigned a = Digit(p[0]), b = Digit(p[1]);
  *bad |= static_cast<unsigned>(a > 9) | static_cast<unsigned>(b > 9);
  return a * 10 + b;
}

ParseOutcome ParseMagnitude(const char* p, const char* end, uint64_t* value) {
  if (p == end) return ParseOutcome::kMalformed;
  uint64_t v = 0;
  // 19 digits always fit.
  const char* safe_end = end - p > 19 ? p + 19 : end;
  for (; p < safe_end; ++p) {
    const unsigned d = Digit(*p);
    if (d > 9) return ParseOutcome::kMalformed;
    v = v * 10 + d;
  }
  bool overflow = false;
  for (; p < end; ++p) {
    const unsigned d = Digit(*p);
    if (d > 9) return ParseOutcome::kMalformed;
    if (v > (std::numeric_limits<uint64_t>::max() - d) / 10) overflow = true;
    v = v * 10 + d;
  }
  if (overflow) return ParseOutcome::kOutOfRange;
  *value = v;
  return ParseOutcome::kOk;
}

constexpr double kPowersOfTen[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

// Digits with at most one dot, 15 significant digits at most: the quotient of two exact doubles is correctly
// rounded.
bool ParseShortDouble(const char* p, const char* end, double* value) {
  const bool negative = p < end && *p == '-';
  if (p < end && (*p == '-' || *p == '+')) ++p;
  const char* first = p;
  if (end - p > 16 || p == end) return false;
  uint64_t digits = 0;
  const char* dot = nullptr;
  for (; p < end; ++p) {
    const unsigned d = Digit(*p);
    if (d <= 9) {
      digits = digits * 10 + d;
    } else if (*p == '.' && dot == nullptr) {
      dot = p;
    } else {
      return false;
    }
  }
  const auto count = end - first - (dot != nullptr ? 1 : 0);
  if (count == 0 || count > 15) return false;
  double v = static_cast<double>(digits);
  if (dot != nullptr) v /= kPowersOfTen[end - dot - 1];
  *value = negative ? -v : v;
  return true;
}

template <class T>
ParseOutcome ParseReal(std::string_view text, T* value) {
  const char* p = text.data();
  const char* end = p + text.size();
  if (p < end && *p == '+') ++p;
  const char* unsigned_part = p < end && *p == '-' && p == text.data() ? p + 1 : p;
  if (unsigned_part == end) return ParseOutcome::kMalformed;
  const bool numeric = Digit(*unsigned_part) <= 9 || *unsigned_part == '.';
  if (!numeric) {
    const std::string_view word(unsigned_part, static_cast<size_t>(end - unsigned_part));
    T v;
    if (EqualsIgnoringCase(word, "nan")) {
      v = std::numeric_limits<T>::quiet_NaN();
    } else if (EqualsIgnoringCase(word, "inf") || EqualsIgnoringCase(word, "infinity")) {
      v = std::numeric_limits<T>::infinity();
    } else {
      return ParseOutcome::kMalformed;
    }
    *value = unsigned_part != p ? -v : v;
    return ParseOutcome::kOk;
  }
  const auto [rest, error] = std::from_chars(p, end, *value);
  if (rest != end) return ParseOutcome::kMalformed;
  if (error == std::errc()) return ParseOutcome::kOk;
  if (error != std::errc::result_out_of_range) return ParseOutcome::kMalformed;
  // from_chars does not say whether too large or too small; the latter is zero or a subnormal.
  const std::string copy(p, end);
  *value = static_cast<T>(std::is_same_v<T, float> ? std::strtof(copy.c_str(), nullptr)
                                                   : std::strtod(copy.c_str(), nullptr));
  return std::isinf(*value) ? ParseOutcome::kOutOfRange : ParseOutcome::kOk;
}

// `HH:MM:SS` or `HHMMSS` at the start of `text`; returns the characters used, 0 when malformed. A leap second
// counts as :60.
size_t ParseClock(std::string_view text, int64_t* seconds) {
  unsigned bad = 0, h = 0, m = 0, s = 0;
  size_t used = 0;
  const char* p = text.data();
  if (text.size() >= 8 && p[2] == ':' && p[5] == ':') {
    h = TwoDigits(p, &bad), m = TwoDigits(p + 3, &bad), s = TwoDigits(p + 6, &bad);
    used = 8;
  } else if (text.size() >= 6) {
    h = TwoDigits(p, &bad), m = TwoDigits(p + 2, &bad), s = TwoDigits(p + 4, &bad);
    used = 6;
  } else {
    return 0;
  }
  if (bad != 0 || h > 23 || m > 59 || s > 60) return 0;
  *seconds = h * 3600 + m * 60 + s;
  return used;
}

// `.fff` at the start of `text`; returns the characters used, 0 when there is none, npos when malformed.
// Digits past the ninth are dropped.
size_t ParseFraction(std::string_view text, uint32_t* nanos) {
  *nanos = 0;
  if (text.empty() || text[0] != '.') return 0;
  size_t i = 1;
  uint32_t value = 0;
  int digits = 0;
  for (; i < text.size() && Digit(text[i]) <= 9; ++i) {
    if (digits < 9) {
      value = value * 10 + Digit(text[i]);
      ++digits;
    }
  }
  if (i == 1) return std::string_view::npos;
  for (; digits < 9; ++digits) value *= 10;
  *nanos = value;
  return i;
}

bool ParseDatePart(const char* p, int64_t* days) {
  unsigned bad = 0;
  const unsigned century = TwoDigits(p, &bad), year = century * 100 + TwoDigits(p + 2, &bad);
  const unsigned month = TwoDigits(p + 5, &bad), day = TwoDigits(p + 8, &bad);
  bad |= static_cast<unsigned>(p[4] != '-') | static_cast<unsigned>(p[7] != '-');
  if (bad != 0 || !IsCivilDate(year, month, day)) return false;
  *days = DaysFromCivil(year, month, day);
  return true;
}

bool ParseOffset(std::string_view text, int64_t* offset_seconds) {
  unsigned bad = 0, h = 0, m = 0;
  const char* p = text.data() + 1;
  if (text.size() == 6 && p[2] == ':') {
    h = TwoDigits(p, &bad), m = TwoDigits(p + 3, &bad);
  } else if (text.size() == 5) {
    h = TwoDigits(p, &bad), m = TwoDigits(p + 2, &bad);
  } else if (text.size() == 3) {
    h = TwoDigits(p, &bad);
  } else {
    return false;
  }
  if (bad != 0 || h > 23 || m > 59) return false;
  *offset_seconds = static_cast<int64_t>(h * 3600 + m * 60) * (text[0] == '-' ? -1 : 1);
  return true;
}

}  // namespace

bool IsCivilDate(int64_t year, int64_t month, int64_t day) {
  constexpr uint8_t kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (month < 1 || month > 12 || day < 1) return false;
  if (day <= kDays[month - 1]) return true;
  return month == 2 && day == 29 && ((year % 4 == 0 && year % 100 != 0) || year % 400 == 0);
}

ParseOutcome ParseUInt64(std::string_view text, uint64_t* value) {
  const char* p = text.data();
  const char* end = p + text.size();
  const bool negative = p < end && *p == '-';
  if (p < end && (*p == '-' || *p == '+')) ++p;
  const ParseOutcome outcome = ParseMagnitude(p, end, value);
  if (outcome == ParseOutcome::kOk && negative && *value != 0) return ParseOutcome::kOutOfRange;
  return outcome;
}

ParseOutcome ParseInt64(std::string_view text, int64_t* value) {
  const char* p = text.data();
  const char* end = p + text.size();
  const bool negative = p < end && *p == '-';
  if (p < end && (*p == '-' || *p == '+')) ++p;
  uint64_t magnitude;
  const ParseOutcome outcome = ParseMagnitude(p, end, &magnitude);
  if (outcome != ParseOutcome::kOk) return outcome;
  const uint64_t limit = static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) + (negative ? 1 : 0);
  if (magnitude > limit) return ParseOutcome::kOutOfRange;
  *value = static_cast<int64_t>(negative ? 0 - magnitude : magnitude);
  return ParseOutcome::kOk;
}

ParseOutcome ParseDouble(std::string_view text, double* value) {
  if (ParseShortDouble(text.data(), text.data() + text.size(), value)) return ParseOutcome::kOk;
  return ParseReal(text, value);
}

ParseOutcome ParseFloat(std::string_view text, float* value) { return ParseReal(text, value); }

bool ParseBool(std::string_view text, bool* value) {
  if (EqualsIgnoringCase(text, "true")) {
    *value = true;
    return true;
  }
  if (EqualsIgnoringCase(text, "false")) {
    *value = false;
    return true;
  }
  return false;
}

bool ParseDate(std::string_view text, int32_t* days) {
  int64_t value;
  if (text.size() != 10 || !ParseDatePart(text.data(), &value)) return false;
  *days = static_cast<int32_t>(value);
  return true;
}

bool ParseTimeOfDay(std::string_view text, int64_t* nanos) {
  int64_t seconds;
  uint32_t fraction;
  if (text.size() < 8 || ParseClock(text, &seconds) != 8 || seconds >= kSecondsPerDay) return false;
  const size_t used = ParseFraction(text.substr(8), &fraction);
  if (used == std::string_view::npos || 8 + used != text.size()) return false;
  *nanos = seconds * 1000000000 + fraction;
  return true;
}

bool ParseTimestamp(std::string_view text, Instant* instant) {
  int64_t days;
  if (text.size() < 10 || !ParseDatePart(text.data(), &days)) return false;
  *instant = Instant{days * kSecondsPerDay, 0};
  if (text.size() == 10) return true;
  if (text[10] != 'T' && text[10] != 't' && text[10] != ' ') return false;
  std::string_view rest = text.substr(11);
  int64_t clock;
  size_t used = ParseClock(rest, &clock);
  if (used == 0) return false;
  rest.remove_prefix(used);
  used = ParseFraction(rest, &instant->nanoseconds);
  if (used == std::string_view::npos) return false;
  rest.remove_prefix(used);
  instant->seconds += clock;
  if (rest.empty() || (rest.size() == 1 && (rest[0] == 'Z' || rest[0] == 'z'))) return true;
  int64_t offset;
  if (!ParseZone(rest, instant->seconds, &offset)) return false;
  instant->seconds -= offset;
  return true;
}

bool ParseZone(std::string_view text, int64_t local_seconds, int64_t* offset_seconds) {
  if (!text.empty() && text[0] == ' ') text.remove_prefix(1);
  if (text.empty()) return false;
  if (text == "Z" || text == "z" || text == "UTC") {
    *offset_seconds = 0;
    return true;
  }
  if (text[0] == '+' || text[0] == '-') return ParseOffset(text, offset_seconds);
  const char first = static_cast<char>(text[0] | 0x20);
  if (first < 'a' || first > 'z') return false;
  namespace date = arrow_vendored::date;
  try {
    const date::time_zone* zone = date::locate_zone(text);
    const date::local_seconds local{std::chrono::seconds(local_seconds)};
    const date::local_info info = zone->get_info(local);
    if (info.result == date::local_info::nonexistent) return false;
    *offset_seconds = info.first.offset.count();
    return true;
  } catch (const std::exception&) {
    return false;  // no such zone
  }
}

}  // namespace sluice::columnar

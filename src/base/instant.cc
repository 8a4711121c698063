#include "base/instant.h"

namespace sluice {
namespace {

constexpr int64_t kSecondsPerDay = 86400;

int64_t FloorDiv(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

bool ReadDigits(std::string_view text, size_t* pos, size_t count, int64_t* value) {
  if (*pos + count > text.size()) return false;
  *value = 0;
  for (size_t i = 0; i < count; ++i) {
    char c = text[*pos + i];
    if (c < '0' || c > '9') return false;
    *value = *value * 10 + (c - '0');
  }
  *pos += count;
  return true;
}

bool ReadChar(std::string_view text, size_t* pos, std::string_view allowed) {
  if (*pos >= text.size() || allowed.find(text[*pos]) == std::string_view::npos) return false;
  ++*pos;
  return true;
}

bool IsLeap(int64_t y) { return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0; }

int64_t DaysInMonth(int64_t y, int64_t m) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return m == 2 && IsLeap(y) ? 29 : kDays[m - 1];
}

}  // namespace

Instant Instant::FromMillis(int64_t millis) {
  int64_t s = FloorDiv(millis, 1000);
  return {s, static_cast<uint32_t>((millis - s * 1000) * 1000000)};
}

Instant Instant::FromNanos(int64_t nanos) {
  int64_t s = FloorDiv(nanos, 1000000000);
  return {s, static_cast<uint32_t>(nanos - s * 1000000000)};
}

int64_t Instant::ToMillis() const { return seconds * 1000 + nanoseconds / 1000000; }

// Howard Hinnant's public-domain algorithms (chrono-compatible low-level date algorithms).
int64_t DaysFromCivil(int64_t y, unsigned m, unsigned d) {
  y -= m <= 2;
  const int64_t era = FloorDiv(y, 400);
  const unsigned yoe = static_cast<unsigned>(y - era * 400);
  const unsigned doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
  const unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return era * 146097 + static_cast<int64_t>(doe) - 719468;
}

CivilDate CivilFromDays(int64_t z) {
  z += 719468;
  const int64_t era = FloorDiv(z, 146097);
  const unsigned doe = static_cast<unsigned>(z - era * 146097);
  const unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const int64_t y = static_cast<int64_t>(yoe) + era * 400;
  const unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const unsigned mp = (5 * doy + 2) / 153;
  const unsigned d = doy - (153 * mp + 2) / 5 + 1;
  const unsigned m = mp < 10 ? mp + 3 : mp - 9;
  return {y + (m <= 2), m, d};
}

Result<Instant> ParseInstant(std::string_view text) {
  auto fail = [&] {
    return InvalidArgument("'{}' is not an RFC 3339 time such as 2024-05-01T10:00:00Z", text);
  };
  size_t pos = 0;
  int64_t year, month, day, hour, minute, second;
  if (!ReadDigits(text, &pos, 4, &year) || !ReadChar(text, &pos, "-") || !ReadDigits(text, &pos, 2, &month) ||
      !ReadChar(text, &pos, "-") || !ReadDigits(text, &pos, 2, &day) || !ReadChar(text, &pos, "Tt ") ||
      !ReadDigits(text, &pos, 2, &hour) || !ReadChar(text, &pos, ":") ||
      !ReadDigits(text, &pos, 2, &minute) || !ReadChar(text, &pos, ":") ||
      !ReadDigits(text, &pos, 2, &second)) {
    return fail();
  }
  if (month < 1 || month > 12 || day < 1 || day > DaysInMonth(year, month) || hour > 23 || minute > 59 ||
      second > 59) {
    return fail();
  }
  int64_t nanos = 0;
  if (pos < text.size() && text[pos] == '.') {
    ++pos;
    int digits = 0;
    while (pos < text.size() && text[pos] >= '0' && text[pos] <= '9') {
      if (digits < 9) {
        nanos = nanos * 10 + (text[pos] - '0');
        ++digits;
      }
      ++pos;
    }
    if (digits == 0) return fail();
    for (; digits < 9; ++digits) nanos *= 10;
  }
  int64_t offset = 0;
  if (pos < text.size() && (text[pos] == 'Z' || text[pos] == 'z')) {
    ++pos;
  } else {
    if (pos >= text.size() || (text[pos] != '+' && text[pos] != '-')) return fail();
    const int64_t sign = text[pos++] == '-' ? -1 : 1;
    int64_t oh, om;
    if (!ReadDigits(text, &pos, 2, &oh) || !ReadChar(text, &pos, ":") || !ReadDigits(text, &pos, 2, &om) ||
        oh > 23 || om > 59) {
      return fail();
    }
    offset = sign * (oh * 3600 + om * 60);
  }
  if (pos != text.size()) return fail();
  const int64_t days = DaysFromCivil(year, static_cast<unsigned>(month), static_cast<unsigned>(day));
  return Instant{days * kSecondsPerDay + hour * 3600 + minute * 60 + second - offset,
                 static_cast<uint32_t>(nanos)};
}

std::string FormatInstant(Instant t) {
  const int64_t days = FloorDiv(t.seconds, kSecondsPerDay);
  const int64_t rest = t.seconds - days * kSecondsPerDay;
  const CivilDate date = CivilFromDays(days);
  std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", date.year, date.month, date.day,
                                 rest / 3600, rest / 60 % 60, rest % 60);
  if (t.nanoseconds % 1000 != 0) {
    text += fmt::format(".{:09}", t.nanoseconds);
  } else if (t.nanoseconds % 1000000 != 0) {
    text += fmt::format(".{:06}", t.nanoseconds / 1000);
  } else if (t.nanoseconds != 0) {
    text += fmt::format(".{:03}", t.nanoseconds / 1000000);
  }
  return text + "Z";
}

}  // namespace sluice

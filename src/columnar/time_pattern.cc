#include "columnar/time_pattern.h"

#include <algorithm>
#include <array>
#include <optional>

#include "columnar/text_parse.h"

namespace sluice::columnar {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {"january",   "february", "march",    "april",
                                                      "may",       "june",     "july",     "august",
                                                      "september", "october",  "november", "december"};
constexpr std::array<std::string_view, 7> kWeekdays = {"monday", "tuesday",  "wednesday", "thursday",
                                                       "friday", "saturday", "sunday"};

bool StartsIgnoringCase(std::string_view text, std::string_view lower) {
  if (text.size() < lower.size()) return false;
  for (size_t i = 0; i < lower.size(); ++i) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] | 0x20) : text[i];
    if (c != lower[i]) return false;
  }
  return true;
}

// A full name or its first three letters; takes it off `rest`.
template <size_t N>
std::optional<int64_t> ReadName(const std::array<std::string_view, N>& names, std::string_view* rest) {
  for (size_t i = 0; i < N; ++i) {
    for (std::string_view name : {names[i], names[i].substr(0, 3)}) {
      if (StartsIgnoringCase(*rest, name)) {
        rest->remove_prefix(name.size());
        return static_cast<int64_t>(i);
      }
    }
  }
  return std::nullopt;
}

bool ReadNumber(std::string_view* rest, int min_digits, int max_digits, int64_t* value) {
  int digits = 0;
  *value = 0;
  while (digits < max_digits && static_cast<size_t>(digits) < rest->size()) {
    const char c = (*rest)[static_cast<size_t>(digits)];
    if (c < '0' || c > '9') break;
    *value = *value * 10 + (c - '0');
    ++digits;
  }
  if (digits < min_digits) return false;
  rest->remove_prefix(static_cast<size_t>(digits));
  return true;
}

// The longest start of `rest` that may be a zone: up to the next space.
std::string_view ZoneToken(std::string_view rest) { return rest.substr(0, rest.find(' ')); }

}  // namespace

struct TimePattern::Fields {
  int64_t year = 1970, month = 1, day = 1, day_of_year = 0;
  int64_t hour = 0, minute = 0, second = 0, nanos = 0;
  bool afternoon = false, half = false;
  std::string_view zone;
  std::optional<int64_t> epoch;
};

void TimePattern::AddLiteral(std::vector<Step>* steps, char c) {
  if (steps->empty() || steps->back().part != Part::kLiteral)
    steps->push_back(Step{Part::kLiteral, 0, 0, ""});
  steps->back().literal += c;
}

Result<std::vector<TimePattern::Step>> TimePattern::ParseStrftime(const std::string& pattern) {
  struct Code {
    char letter;
    Step step;
  };
  static const Code kCodes[] = {
      {'Y', {Part::kYear, 4, 4, ""}},        {'y', {Part::kShortYear, 2, 2, ""}},
      {'m', {Part::kMonth, 1, 2, ""}},       {'B', {Part::kMonthName, 0, 0, ""}},
      {'b', {Part::kMonthName, 0, 0, ""}},   {'h', {Part::kMonthName, 0, 0, ""}},
      {'d', {Part::kDay, 1, 2, ""}},         {'e', {Part::kDay, 1, 2, ""}},
      {'j', {Part::kDayOfYear, 1, 3, ""}},   {'A', {Part::kWeekdayName, 0, 0, ""}},
      {'a', {Part::kWeekdayName, 0, 0, ""}}, {'H', {Part::kHour, 1, 2, ""}},
      {'I', {Part::kHour12, 1, 2, ""}},      {'M', {Part::kMinute, 1, 2, ""}},
      {'S', {Part::kSecond, 1, 2, ""}},      {'f', {Part::kFraction, 1, 18, ""}},
      {'p', {Part::kHalf, 0, 0, ""}},        {'P', {Part::kHalf, 0, 0, ""}},
      {'z', {Part::kZone, 0, 0, ""}},        {'Z', {Part::kZone, 0, 0, ""}},
      {'s', {Part::kEpoch, 1, 18, ""}},
  };
  std::string expanded;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const std::string_view two = std::string_view(pattern).substr(i, 2);
    if (two == "%F" || two == "%T" || two == "%D" || two == "%R") {
      expanded += two == "%F" ? "%Y-%m-%d" : two == "%T" ? "%H:%M:%S" : two == "%D" ? "%m/%d/%y" : "%H:%M";
      ++i;
    } else if (two.size() == 2 && two[0] == '%') {
      expanded += two;
      ++i;
    } else {
      expanded += pattern[i];
    }
  }
  std::vector<Step> steps;
  for (size_t i = 0; i < expanded.size(); ++i) {
    if (expanded[i] != '%') {
      AddLiteral(&steps, expanded[i]);
      continue;
    }
    if (++i == expanded.size()) return InvalidArgument("time format '{}' ends in '%'", pattern);
    if (expanded[i] == '%') {
      AddLiteral(&steps, '%');
      continue;
    }
    const auto* code = std::find_if(std::begin(kCodes), std::end(kCodes),
                                    [&](const Code& c) { return c.letter == expanded[i]; });
    if (code == std::end(kCodes))
      return InvalidArgument("time format '{}': '%{}' is not known", pattern, expanded[i]);
    steps.push_back(code->step);
  }
  return steps;
}

Result<std::vector<TimePattern::Step>> TimePattern::ParseJava(const std::string& pattern) {
  std::vector<Step> steps;
  for (size_t i = 0; i < pattern.size();) {
    const char c = pattern[i];
    if (c == '\'') {
      const size_t close = pattern.find('\'', i + 1);
      if (close == std::string::npos)
        return InvalidArgument("time format '{}': quote is not closed", pattern);
      if (close == i + 1) AddLiteral(&steps, '\'');
      for (size_t k = i + 1; k < close; ++k) AddLiteral(&steps, pattern[k]);
      i = close + 1;
      continue;
    }
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter) {
      AddLiteral(&steps, c);
      ++i;
      continue;
    }
    size_t end = i;
    while (end < pattern.size() && pattern[end] == c) ++end;
    const int count = static_cast<int>(end - i);
    // One letter takes one or two digits, more letters exactly as many.
    const int low = count, high = count == 1 ? 2 : count;
    switch (c) {
      case 'y':
      case 'u':
        steps.push_back(count == 2 ? Step{Part::kShortYear, 2, 2, ""}
                                   : Step{Part::kYear, count == 1 ? 1 : 4, 4, ""});
        break;
      case 'M':
      case 'L':
        steps.push_back(count >= 3 ? Step{Part::kMonthName, 0, 0, ""} : Step{Part::kMonth, low, high, ""});
        break;
      case 'd':
        steps.push_back(Step{Part::kDay, low, high, ""});
        break;
      case 'D':
        steps.push_back(Step{Part::kDayOfYear, low, 3, ""});
        break;
      case 'E':
        steps.push_back(Step{Part::kWeekdayName, 0, 0, ""});
        break;
      case 'H':
        steps.push_back(Step{Part::kHour, low, high, ""});
        break;
      case 'h':
        steps.push_back(Step{Part::kHour12, low, high, ""});
        break;
      case 'm':
        steps.push_back(Step{Part::kMinute, low, high, ""});
        break;
      case 's':
        steps.push_back(Step{Part::kSecond, low, high, ""});
        break;
      case 'S':
        steps.push_back(Step{Part::kFraction, 1, std::max(count, 9), ""});
        break;
      case 'a':
        steps.push_back(Step{Part::kHalf, 0, 0, ""});
        break;
      case 'X':
      case 'x':
      case 'Z':
      case 'z':
      case 'V':
        steps.push_back(Step{Part::kZone, 0, 0, ""});
        break;
      case 'T':
        AddLiteral(&steps, 'T');
        break;
      default:
        return InvalidArgument("time format '{}': '{}' is not known", pattern, pattern.substr(i, end - i));
    }
    i = end;
  }
  return steps;
}

Result<std::shared_ptr<const TimePattern>> TimePattern::Parse(const std::string& pattern) {
  auto parsed = std::make_shared<TimePattern>();
  ASSIGN_OR_RETURN(parsed->steps_,
                   pattern.find('%') != std::string::npos ? ParseStrftime(pattern) : ParseJava(pattern));
  auto has = [&](std::initializer_list<Part> parts) {
    return std::any_of(parsed->steps_.begin(), parsed->steps_.end(), [&](const Step& s) {
      return std::find(parts.begin(), parts.end(), s.part) != parts.end();
    });
  };
  const bool complete = has({Part::kEpoch}) || has({Part::kYear, Part::kShortYear});
  if (!complete) {
    return InvalidArgument("time format '{}' has no year; use 'rfc3339', '%Y-%m-%d' or 'yyyy-MM-dd' forms",
                           pattern);
  }
  return std::shared_ptr<const TimePattern>(std::move(parsed));
}

bool TimePattern::ReadStep(const Step& step, std::string_view* rest, Fields* f) {
  int64_t value = 0;
  const auto number = [&] { return ReadNumber(rest, step.min_digits, step.max_digits, &value); };
  switch (step.part) {
    case Part::kLiteral:
      if (!rest->starts_with(step.literal)) return false;
      rest->remove_prefix(step.literal.size());
      return true;
    case Part::kYear:
      return number() && (f->year = value, true);
    case Part::kShortYear:
      return number() && (f->year = value < 70 ? 2000 + value : 1900 + value, true);
    case Part::kMonth:
      return number() && (f->month = value, true);
    case Part::kDay:
      return number() && (f->day = value, true);
    case Part::kDayOfYear:
      return number() && value >= 1 && value <= 366 && (f->day_of_year = value, true);
    case Part::kHour:
      return number() && value <= 23 && (f->hour = value, true);
    case Part::kHour12:
      return number() && value >= 1 && value <= 12 && (f->hour = value, f->half = true);
    case Part::kMinute:
      return number() && value <= 59 && (f->minute = value, true);
    case Part::kSecond:
      return number() && value <= 60 && (f->second = value, true);
    case Part::kMonthName: {
      const auto month = ReadName(kMonths, rest);
      if (month) f->month = *month + 1;
      return month.has_value();
    }
    case Part::kWeekdayName:
      return ReadName(kWeekdays, rest).has_value();
    case Part::kFraction: {
      const size_t before = rest->size();
      if (!number()) return false;
      for (size_t digits = before - rest->size(); digits != 9; digits += digits < 9 ? 1 : -1) {
        value = digits < 9 ? value * 10 : value / 10;
      }
      f->nanos = value;
      return true;
    }
    case Part::kHalf:
      f->afternoon = StartsIgnoringCase(*rest, "pm");
      if (!f->afternoon && !StartsIgnoringCase(*rest, "am")) return false;
      rest->remove_prefix(2);
      return true;
    case Part::kZone:
      f->zone = ZoneToken(*rest);
      rest->remove_prefix(f->zone.size());
      return !f->zone.empty();
    case Part::kEpoch: {
      const bool negative = rest->starts_with('-');
      if (negative) rest->remove_prefix(1);
      return number() && (f->epoch = negative ? -value : value, true);
    }
  }
  return false;
}

bool TimePattern::Read(std::string_view text, Instant* instant) const {
  Fields f;
  for (const Step& step : steps_) {
    if (!ReadStep(step, &text, &f)) return false;
  }
  if (!text.empty()) return false;
  if (f.epoch) {
    *instant = Instant{*f.epoch, static_cast<uint32_t>(f.nanos)};
    return true;
  }
  if (f.half) f.hour = f.hour % 12 + (f.afternoon ? 12 : 0);
  if (f.day_of_year == 366 && !IsCivilDate(f.year, 2, 29)) return false;
  if (!IsCivilDate(f.year, f.month, f.day)) return false;
  int64_t days = DaysFromCivil(f.year, static_cast<unsigned>(f.month), static_cast<unsigned>(f.day));
  if (f.day_of_year != 0) days = DaysFromCivil(f.year, 1, 1) + f.day_of_year - 1;
  int64_t seconds = days * 86400 + f.hour * 3600 + f.minute * 60 + f.second;
  if (!f.zone.empty()) {
    int64_t offset;
    if (!ParseZone(f.zone, seconds, &offset)) return false;
    seconds -= offset;
  }
  *instant = Instant{seconds, static_cast<uint32_t>(f.nanos)};
  return true;
}

}  // namespace sluice::columnar

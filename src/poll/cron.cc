#include "poll/cron.h"

#include <array>
#include <charconv>
#include <vector>

namespace sluice::poll {
namespace {

constexpr int64_t kDay = 86400;
constexpr int kSearchedDays = 366 * 9;  // 29 February comes at least once in it

constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun",
                                                      "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kDays = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct Field {
  std::string_view name;
  int low, high;
};

std::vector<std::string> Words(std::string_view text, std::string_view separators) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const size_t end = text.find_first_of(separators);
    if (end != 0) words.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return words;
}

std::optional<int> Number(std::string_view text, const Field& field) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (field.name == "month") {
    for (size_t i = 0; i < kMonths.size(); ++i) {
      if (lower == kMonths[i]) return static_cast<int>(i) + 1;
    }
  }
  if (field.name == "day of week") {
    for (size_t i = 0; i < kDays.size(); ++i) {
      if (lower == kDays[i]) return static_cast<int>(i);
    }
  }
  int value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || end.ec != std::errc() || end.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

// Calls `set` for every value of the field.
template <class Set>
Status ParseField(const std::string& text, const Field& field, Set set) {
  auto bad = [&](std::string_view part) {
    return InvalidArgument("'{}' is not a {} ({}-{})", part, field.name, field.low, field.high);
  };
  const auto parts = Words(text, ",");
  if (parts.empty()) return bad(text);
  for (const auto& part : parts) {
    const size_t slash = part.find('/');
    const std::string range = part.substr(0, slash);
    int step = 1, low = field.low, high = field.high;
    if (slash != std::string::npos) {
      const auto number = Number(part.substr(slash + 1), {"step", 1, field.high});
      if (!number || *number < 1) return bad(part);
      step = *number;
    }
    if (range != "*") {
      const size_t dash = range.find('-');
      const auto first = Number(range.substr(0, dash), field);
      const auto last = dash == std::string::npos ? first : Number(range.substr(dash + 1), field);
      if (!first || !last || *first < field.low || *last > field.high || *first > *last) return bad(part);
      low = *first;
      high = dash == std::string::npos && slash != std::string::npos ? field.high : *last;
    }
    for (int value = low; value <= high; value += step) set(value);
  }
  return {};
}

std::string_view Expand(std::string_view text) {
  constexpr std::pair<std::string_view, std::string_view> kShort[] = {
      {"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
      {"@weekly", "0 0 * * 0"},   {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
      {"@annually", "0 0 1 1 *"},
  };
  for (const auto& [name, expression] : kShort) {
    if (text == name) return expression;
  }
  return text;
}

}  // namespace

Result<Cron> Cron::Parse(std::string_view text) {
  const auto fields = Words(Expand(text), " \t");
  auto with = [&](Error error) { return std::move(error).With(fmt::format("cron '{}'", text)); };
  if (fields.size() != 5)
    return with(InvalidArgument("five fields are expected: minute, hour, day of month, month, day of week"));
  Cron cron;
  auto status =
      ParseField(fields[0], {"minute", 0, 59}, [&](int v) { cron.minutes_.set(static_cast<size_t>(v)); });
  if (status.ok())
    status = ParseField(fields[1], {"hour", 0, 23}, [&](int v) { cron.hours_.set(static_cast<size_t>(v)); });
  if (status.ok())
    status = ParseField(fields[2], {"day of month", 1, 31},
                        [&](int v) { cron.days_.set(static_cast<size_t>(v)); });
  if (status.ok())
    status =
        ParseField(fields[3], {"month", 1, 12}, [&](int v) { cron.months_.set(static_cast<size_t>(v)); });
  if (status.ok())
    status = ParseField(fields[4], {"day of week", 0, 7},
                        [&](int v) { cron.weekdays_.set(static_cast<size_t>(v % 7)); });
  if (!status.ok()) return with(std::move(status).error());
  cron.any_day_ = fields[2].starts_with('*');
  cron.any_weekday_ = fields[4].starts_with('*');
  if (!cron.Find(Instant{0, 0})) return with(InvalidArgument("this time never comes"));
  return cron;
}

std::optional<Instant> Cron::Find(Instant time) const {
  int64_t minute = (time.seconds >= 0 ? time.seconds : time.seconds - 59) / 60 + 1;
  int64_t day = minute / 1440;
  for (int searched = 0; searched < kSearchedDays; ++searched, ++day, minute = day * 1440) {
    const CivilDate date = CivilFromDays(day);
    const size_t weekday = static_cast<size_t>(((day + 4) % 7 + 7) % 7);  // 1970-01-01 was a Thursday
    if (!months_.test(date.month)) continue;
    const bool by_day = days_.test(date.day), by_weekday = weekdays_.test(weekday);
    const bool both_given = !any_day_ && !any_weekday_;
    if (both_given ? !by_day && !by_weekday : !by_day || !by_weekday) continue;
    for (int64_t of_day = minute - day * 1440; of_day < 1440; ++of_day) {
      if (hours_.test(static_cast<size_t>(of_day / 60)) && minutes_.test(static_cast<size_t>(of_day % 60)))
        return Instant{day * kDay + of_day * 60, 0};
    }
  }
  return std::nullopt;
}

Instant Cron::NextAfter(Instant time) const {
  return Find(time).value_or(Instant{time.seconds + 366 * 9 * kDay, 0});
}

}  // namespace sluice::poll

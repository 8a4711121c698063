#include "fetch/event_time.h"

#include <algorithm>
#include <ctime>
#include <iterator>
#include <regex>

namespace sluice::fetch {
namespace {

using Kind = odf::EventTimeSource::Kind;

constexpr char kDefaultFormat[] = "%Y-%m-%d";

Result<std::regex> Compile(const std::string& pattern) {
  try {
    return std::regex(pattern, std::regex::ECMAScript);
  } catch (const std::regex_error& e) {
    return InvalidArgument("eventTime: '{}' is not a regular expression: {}", pattern, e.what());
  }
}

// Letters of Java's patterns, by which the format's specification describes times; the reference takes those
// of strftime alone.
Result<std::string> FromJavaPattern(const std::string& pattern) {
  const struct {
    char letter;
    size_t least;  // letters
    const char* conversion;
  } known[] = {{'y', 3, "%Y"}, {'y', 2, "%y"}, {'y', 1, "%Y"}, {'u', 1, "%Y"}, {'M', 4, "%B"}, {'M', 3, "%b"},
               {'M', 1, "%m"}, {'d', 1, "%d"}, {'D', 1, "%j"}, {'H', 1, "%H"}, {'h', 1, "%I"}, {'m', 1, "%M"},
               {'s', 1, "%S"}, {'a', 1, "%p"}, {'E', 1, "%a"}, {'X', 1, "%z"}, {'Z', 1, "%z"}};
  std::string format;
  for (size_t at = 0; at < pattern.size();) {
    const char c = pattern[at];
    if (c == '\'') {  // a literal; two of them are one
      const size_t end = pattern.find('\'', at + 1);
      if (end == std::string::npos) return InvalidArgument("eventTime: '{}': a quote is not closed", pattern);
      format += end == at + 1 ? "'" : pattern.substr(at + 1, end - at - 1);
      at = end + 1;
      continue;
    }
    const size_t count = std::min(pattern.find_first_not_of(c, at), pattern.size()) - at;
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const auto* conversion = std::find_if(std::begin(known), std::end(known), [&](const auto& candidate) {
      return candidate.letter == c && count >= candidate.least;
    });
    if (is_letter && conversion == std::end(known)) {
      return InvalidArgument("eventTime: timestampFormat '{}': '{}' is not known; write it as %Y-%m-%d",
                             pattern, c);
    }
    format += is_letter ? std::string(conversion->conversion) : std::string(count, c);
    at += count;
  }
  return format;
}

// Without a year a time would be one of the year 1900; weeks are read, and then make no date.
Status CheckConversions(const std::string& format) {
  bool has_year = false;
  for (size_t at = 0; at + 1 < format.size(); ++at) {
    if (format[at] != '%') continue;
    ++at;
    while (at + 1 < format.size() && std::string_view("EO-_0^#").find(format[at]) != std::string_view::npos)
      ++at;
    const char c = format[at];
    if (std::string_view("UWVGg").find(c) != std::string_view::npos)
      return InvalidArgument("eventTime: timestampFormat '{}': weeks (%{}) do not make a date", format, c);
    has_year = has_year || std::string_view("YyDFcxs+").find(c) != std::string_view::npos;
  }
  if (!has_year) return InvalidArgument("eventTime: timestampFormat '{}' names no year", format);
  return {};
}

Result<std::string> FormatOf(const odf::EventTimeSource& source) {
  const std::string format = source.timestamp_format.value_or(kDefaultFormat);
  if (format.find('%') != std::string::npos) {
    RETURN_IF_ERROR(CheckConversions(format));
    return format;
  }
  ASSIGN_OR_RETURN(const auto converted, FromJavaPattern(format));
  if (converted.find('%') == std::string::npos)
    return InvalidArgument("eventTime: timestampFormat '{}' names no part of a time", format);
  RETURN_IF_ERROR(CheckConversions(converted));
  return converted;
}

std::optional<Instant> ParseBy(const std::string& text, const char* format) {
  std::tm parts{};
  parts.tm_mday = 1;
  const char* end = strptime(text.c_str(), format, &parts);
  if (end == nullptr || *end != 0) return std::nullopt;
  // The 31st of February is no day; timegm would take it for one in March.
  std::tm day{};
  day.tm_year = parts.tm_year;
  day.tm_mon = parts.tm_mon;
  day.tm_mday = parts.tm_mday;
  (void)timegm(&day);
  if (day.tm_mday != parts.tm_mday || day.tm_mon != parts.tm_mon) return std::nullopt;
  const long zone = parts.tm_gmtoff;  // set by %z alone
  const std::time_t seconds = timegm(&parts);
  return Instant{seconds - zone, 0};
}

}  // namespace

Result<std::optional<Instant>> MetadataEventTime(const std::optional<odf::EventTimeSource>& source,
                                                 std::optional<Instant> changed) {
  if (!source || source->kind == Kind::kFromMetadata) return changed;
  if (source->kind == Kind::kFromSystemTime) return std::optional<Instant>();
  return InvalidArgument("eventTime: fromPath goes with filesGlob, not with url");
}

Result<Instant> PathEventTime(const odf::EventTimeSource& source, std::string_view base_name) {
  ASSIGN_OR_RETURN(const auto pattern, Compile(source.pattern));
  const std::string name(base_name);
  std::smatch match;
  try {
    if (!std::regex_search(name, match, pattern))
      return InvalidArgument("eventTime: '{}' does not match the pattern '{}'", name, source.pattern);
  } catch (const std::regex_error& e) {
    return InvalidArgument("eventTime: pattern '{}' on '{}': {}", source.pattern, name, e.what());
  }
  if (match.size() < 2)
    return InvalidArgument("eventTime: the pattern '{}' has no group: put the time in ( )", source.pattern);
  ASSIGN_OR_RETURN(const auto format, FormatOf(source));
  const auto time = ParseBy(match[1].str(), format.c_str());
  if (!time) {
    return InvalidArgument("eventTime: '{}' in '{}' is not a time of the format '{}'", match[1].str(), name,
                           source.timestamp_format.value_or(kDefaultFormat));
  }
  return *time;
}

Status CheckEventTime(const std::optional<odf::EventTimeSource>& source, bool from_path, bool from_metadata) {
  if (!source) return {};
  if (source->kind == Kind::kFromMetadata && !from_metadata)
    return InvalidArgument("eventTime: fromMetadata does not go with filesGlob: use fromPath");
  if (source->kind != Kind::kFromPath) return {};
  if (!from_path) return InvalidArgument("eventTime: fromPath goes with filesGlob, not with url");
  ASSIGN_OR_RETURN(const auto pattern, Compile(source->pattern));
  ASSIGN_OR_RETURN(const auto format, FormatOf(*source));
  (void)format;
  if (pattern.mark_count() == 0)
    return InvalidArgument("eventTime: the pattern '{}' has no group: put the time in ( )", source->pattern);
  return {};
}

}  // namespace sluice::fetch

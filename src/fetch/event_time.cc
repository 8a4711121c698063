#include "fetch/event_time.h"

#include <ctime>
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

std::optional<Instant> ParseBy(const std::string& text, const char* format) {
  std::tm parts{};
  parts.tm_mday = 1;
  const char* end = strptime(text.c_str(), format, &parts);
  if (end == nullptr || *end != 0) return std::nullopt;
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
  const std::string format = source.timestamp_format.value_or(kDefaultFormat);
  const auto time = ParseBy(match[1].str(), format.c_str());
  if (!time) {
    return InvalidArgument("eventTime: '{}' in '{}' is not a time of the format '{}'", match[1].str(), name,
                           format);
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
  if (pattern.mark_count() == 0)
    return InvalidArgument("eventTime: the pattern '{}' has no group: put the time in ( )", source->pattern);
  return {};
}

std::optional<Instant> ParseHttpDate(const std::string& text) {
  for (const char* format :
       {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"}) {
    if (auto time = ParseBy(text, format)) return time;
  }
  return std::nullopt;
}

}  // namespace sluice::fetch

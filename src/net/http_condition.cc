#include "net/http_condition.h"

#include <algorithm>
#include <charconv>

namespace sluice::net {
namespace {

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string_view Strong(std::string_view tag) { return tag.starts_with("W/") ? tag.substr(2) : tag; }

// If-Range holds when absent, or when it is the strong tag of what we would send, or its very date.
bool MayUseRange(const HttpRequest& request, const HttpResponse& response) {
  const std::optional<std::string> wanted = request.headers.Find("If-Range");
  if (!wanted) return true;
  if (wanted->starts_with('"')) return response.headers.Find("ETag") == wanted;
  return response.headers.Find("Last-Modified") == wanted;
}

}  // namespace

RangeKind ParseRange(std::string_view value, uint64_t total, ByteRange& range) {
  constexpr std::string_view kUnit = "bytes=";
  if (value.size() < kUnit.size() || !EqualsIgnoringCase(value.substr(0, kUnit.size()), kUnit))
    return RangeKind::kNone;
  value = Trimmed(value.substr(kUnit.size()));
  const size_t dash = value.find('-');
  if (dash == std::string_view::npos || value.find(',') != std::string_view::npos) return RangeKind::kNone;
  const std::string_view first_text = Trimmed(value.substr(0, dash));
  const std::string_view last_text = Trimmed(value.substr(dash + 1));
  const std::optional<uint64_t> first = ParseNumber(first_text);
  const std::optional<uint64_t> last = ParseNumber(last_text);
  if ((!first && !first_text.empty()) || (!last && !last_text.empty()) || (!first && !last))
    return RangeKind::kNone;
  if (!first) {  // the last bytes
    if (*last == 0 || total == 0) return RangeKind::kUnsatisfiable;
    range.size = std::min(*last, total);
    range.offset = total - range.size;
    return RangeKind::kSatisfiable;
  }
  if (last && *last < *first) return RangeKind::kNone;
  if (*first >= total) return RangeKind::kUnsatisfiable;
  range.offset = *first;
  range.size = std::min(last.value_or(total - 1), total - 1) - *first + 1;
  return RangeKind::kSatisfiable;
}

bool MatchesAnyTag(std::string_view list, std::string_view tag) {
  if (Trimmed(list) == "*") return true;
  while (!list.empty()) {
    // A comma may stand inside the quotes.
    const size_t quote = list.find('"');
    if (quote == std::string_view::npos) return false;
    const size_t end = list.find('"', quote + 1);
    if (end == std::string_view::npos) return false;
    if (list.substr(quote, end - quote + 1) == Strong(tag)) return true;
    list.remove_prefix(end + 1);
  }
  return false;
}

void ApplyConditions(const HttpRequest& request, HttpResponse& response) {
  if (response.status != 200 || (request.method != "GET" && request.method != "HEAD")) return;
  const std::optional<std::string> tag = response.headers.Find("ETag");
  if (tag && request.headers.Contains("If-None-Match") &&
      MatchesAnyTag(request.headers.Joined("If-None-Match"), *tag)) {
    response.status = 304;
    response.body = std::string();
    return;
  }
  // Parts of files only: what was put together for this request would be another for the next part.
  auto* file = std::get_if<FileRange>(&response.body);
  if (file == nullptr) return;
  const uint64_t total = file->size;
  response.headers.Set("Accept-Ranges", "bytes");
  const std::optional<std::string> wanted = request.headers.Find("Range");
  if (!wanted || request.method != "GET" || !MayUseRange(request, response)) return;
  ByteRange range;
  switch (ParseRange(*wanted, total, range)) {
    case RangeKind::kNone:
      return;
    case RangeKind::kUnsatisfiable:
      response.status = 416;
      response.body =
          ProblemResponse(416, fmt::format("there are no bytes in '{}': it has {}", *wanted, total)).body;
      response.headers.Set("Content-Type", "application/problem+json");
      response.headers.Set("Content-Range", fmt::format("bytes */{}", total));
      return;
    case RangeKind::kSatisfiable:
      response.status = 206;
      response.headers.Set("Content-Range",
                           fmt::format("bytes {}-{}/{}", range.offset, range.offset + range.size - 1, total));
      file->offset += range.offset;
      file->size = range.size;
      return;
  }
}

std::string FormatHttpDate(std::time_t time) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm parts{};
  gmtime_r(&time, &parts);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[parts.tm_wday], parts.tm_mday,
                     kMonths[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::optional<int64_t> ParseHttpDate(const std::string& text) {
  for (const char* format :
       {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"}) {
    std::tm parts{};
    const char* end = ::strptime(text.c_str(), format, &parts);
    if (end != nullptr && *end == '\0') return static_cast<int64_t>(::timegm(&parts));
  }
  return std::nullopt;
}

std::optional<int64_t> NumberIn(const Headers& headers, std::string_view name) {
  const auto value = headers.Find(name);
  if (!value) return std::nullopt;
  const std::string_view text = Trimmed(*value);
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_number = error == std::errc() && (end == text.data() + text.size() || *end == ',' ||
                                                  *end == ';' || *end == ' ' || *end == '.');
  return is_number ? std::optional<int64_t>(number) : std::nullopt;
}

std::optional<std::chrono::milliseconds> RetryAfter(const Headers& headers, int64_t now_seconds) {
  auto wait = NumberIn(headers, "Retry-After");
  if (!wait) {
    const auto date = ParseHttpDate(headers.Find("Retry-After").value_or(""));
    if (!date) return std::nullopt;
    wait = *date - now_seconds;
  }
  return std::chrono::seconds(std::clamp<int64_t>(*wait, 0, 3600));
}

}  // namespace sluice::net

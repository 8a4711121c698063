#include "connectors/rest/marks.h"

#include <charconv>

#include "base/instant.h"

namespace sluice::connectors::rest {
namespace {

constexpr int64_t kMaxMillis = (INT64_MAX >> kTieBits) - 1;

// FNV-1a: must be the same for ever, as positions are kept.
uint64_t HashOf(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash ^ (hash >> 32);
}

std::optional<int64_t> NumberOf(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  // The position behind the last number must still be one.
  const bool is_number =
      error == std::errc() && end == text.data() + text.size() && number >= 0 && number < INT64_MAX;
  return is_number ? std::optional<int64_t>(number) : std::nullopt;
}

}  // namespace

Result<int64_t> MarkOf(const RestOptions& options, std::string_view item, int64_t index) {
  if (options.mark == Mark::kIndex) return index;
  const auto value = FindValue(item, options.mark_path);
  const auto text = value ? TextOf(*value) : std::nullopt;
  if (!text)
    return MakeError(ErrorCode::kInvalidRecords, "the item has no '{}', which orders the items",
                     options.mark_path.text);
  if (options.mark == Mark::kNumber) {
    const auto number = NumberOf(*text);
    if (!number)
      return MakeError(ErrorCode::kInvalidRecords, "'{}' of the item is no number from 0: '{}'",
                       options.mark_path.text, text->substr(0, 100));
    return *number;
  }
  const auto time = ParseInstant(*text);
  const int64_t millis = time.ok() ? time->ToMillis() : -1;
  if (millis < 0 || millis > kMaxMillis)
    return MakeError(ErrorCode::kInvalidRecords, "'{}' of the item is no time since 1970: '{}'",
                     options.mark_path.text, text->substr(0, 100));
  const auto tie =
      HashOf(options.mapping.ValueOf(item, pipeline::Column::kDataId)) & ((uint64_t{1} << kTieBits) - 1);
  return (millis << kTieBits) | static_cast<int64_t>(tie);
}

std::string SinceText(Mark mark, int64_t next) {
  if (mark != Mark::kTime) return std::to_string(next - 1);
  return FormatInstant({(next >> kTieBits) / 1000, 0});
}

Result<int64_t> ParseStart(Mark mark, const std::string& text) {
  if (text.empty()) return 0;
  if (mark == Mark::kTime) {
    const auto time = ParseInstant(text);
    const int64_t millis = time.ok() ? time->ToMillis() : -1;
    if (millis < 0 || millis > kMaxMillis)
      return InvalidArgument("'{}' is no time since 1970, such as 2024-01-01T00:00:00Z", text);
    return millis << kTieBits;
  }
  const auto number = NumberOf(text);
  if (!number) return InvalidArgument("'{}' is no number from 0", text);
  return *number;
}

std::optional<int64_t> SecondsOf(const RestOptions& options, std::string_view item) {
  std::string text;
  if (options.mark == Mark::kTime) {
    const auto value = FindValue(item, options.mark_path);
    text = value ? TextOf(*value).value_or("") : "";
  } else {
    text = options.mapping.ValueOf(item, pipeline::Column::kCreatedAt);
  }
  const auto time = ParseInstant(text);
  return time.ok() ? std::optional<int64_t>(time->seconds) : std::nullopt;
}

}  // namespace sluice::connectors::rest

// `data:` URLs (RFC 2397): the content stands in the manifest.
#include <array>

#include "fetch/event_time.h"
#include "fetch/kinds_internal.h"
#include "fetch/savepoint.h"
#include "net/headers.h"
#include "net/url.h"

namespace sluice::fetch {
namespace {

Result<std::string> DecodeBase64(std::string_view text) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  while (text.ends_with('=')) text.remove_suffix(1);
  for (char c : text) {
    if (c == '-') c = '+';
    if (c == '_') c = '/';
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) return InvalidArgument("'{}' is no base64 digit in a data URL", c);
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>(bits >> count & 0xff);
    }
  }
  return bytes;
}

struct Content {
  std::string media_type, bytes;
};

Result<Content> Decode(std::string_view url) {
  std::string_view rest = url.substr(url.find(':') + 1);
  const size_t comma = rest.find(',');
  if (comma == std::string_view::npos) return InvalidArgument("a data URL has a ',' before its content");
  std::string_view media = rest.substr(0, comma);
  ASSIGN_OR_RETURN(auto bytes, net::PercentDecode(rest.substr(comma + 1)));
  constexpr std::string_view kBase64 = ";base64";
  if (media.size() >= kBase64.size() &&
      net::EqualsIgnoringCase(media.substr(media.size() - kBase64.size()), kBase64)) {
    media.remove_suffix(kBase64.size());
    ASSIGN_OR_RETURN(bytes, DecodeBase64(bytes));
  }
  return Content{std::string(media), std::move(bytes)};
}

Status CheckDataUrl(const std::string& url) {
  const auto content = Decode(url);
  return content.ok() ? OkStatus() : Status(content.error());
}

Result<Fetched> FetchData(const UrlCall& call, const FetchRequest& request, const FetchContext&) {
  ASSIGN_OR_RETURN(const auto content, Decode(call.url));
  const auto& bytes = content.bytes;
  ContentHash hash;
  hash.Update(bytes);
  const std::string value = fmt::format("{}:{}", bytes.size(), hash.Hex());
  Fetched fetched;
  if (!request.force && request.previous && request.previous->kind == kContentStateKind &&
      request.previous->value == value)
    return fetched;
  FetchedInput input;
  input.name = "data URL";
  input.media_type = content.media_type;
  ASSIGN_OR_RETURN(input.event_time, MetadataEventTime(call.step.event_time, std::nullopt));
  input.open = [bytes]() -> Result<std::unique_ptr<read::ByteSource>> {
    return read::MakeMemorySource(bytes, "data URL");
  };
  input.state = [value]() -> Result<std::optional<odf::SourceState>> {
    return std::optional(odf::SourceState{"", kContentStateKind, value});
  };
  input.identity = [value]() -> Result<std::optional<std::string>> { return std::optional(value); };
  fetched.inputs.push_back(std::move(input));
  return fetched;
}

}  // namespace

namespace kinds {
FetchKind data() { return {.schemes = {"data"}, .check_url = &CheckDataUrl, .fetch_url = &FetchData}; }
}  // namespace kinds

}  // namespace sluice::fetch

#include "net/url.h"

#include <algorithm>

namespace sluice::net {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

// In a query `+` is a space.
Result<std::string> DecodeQueryPart(std::string_view text) {
  std::string spaced(text);
  for (char& c : spaced) {
    if (c == '+') c = ' ';
  }
  return PercentDecode(spaced);
}

}  // namespace

Result<std::string> PercentDecode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return InvalidArgument("'{}' has a bad percent escape", text);
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

std::string PercentEncode(std::string_view text, bool keep_slash) {
  std::string encoded;
  for (char c : text) {
    if (IsUnreserved(c) || (c == '/' && keep_slash)) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

std::string EncodeForeign(std::string_view text) {
  constexpr std::string_view kForeign = " \"<>`";
  std::string encoded;
  for (const char c : text) {
    const bool is_foreign = static_cast<signed char>(c) < 0 || kForeign.find(c) != std::string_view::npos;
    encoded += is_foreign ? PercentEncode({&c, 1}) : std::string(1, c);
  }
  return encoded;
}

std::string EncodeUrl(std::string_view url) {
  const size_t scheme = url.find("://");
  const size_t host = scheme == std::string_view::npos ? 0 : scheme + 3;
  const size_t path = std::min(url.find_first_of("/?#", host), url.size());
  return std::string(url.substr(0, path)) + EncodeForeign(url.substr(path));
}

std::optional<std::string> Target::Parameter(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return std::nullopt;
}

Result<Target> ParseTarget(std::string_view target) {
  target = target.substr(0, target.find('#'));
  const size_t mark = target.find('?');
  Target parsed;
  ASSIGN_OR_RETURN(parsed.path, PercentDecode(target.substr(0, mark)));
  if (!parsed.path.starts_with('/')) return InvalidArgument("request target '{}' is not a path", target);
  if (parsed.path.find('\0') != std::string::npos) return InvalidArgument("request target has a zero byte");
  std::string_view rest = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (part.empty()) continue;
    const size_t equals = std::min(part.find('='), part.size());
    ASSIGN_OR_RETURN(std::string key, DecodeQueryPart(part.substr(0, equals)));
    ASSIGN_OR_RETURN(std::string value, DecodeQueryPart(part.substr(std::min(equals + 1, part.size()))));
    parsed.query.emplace_back(std::move(key), std::move(value));
  }
  return parsed;
}

}  // namespace sluice::net

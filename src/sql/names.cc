#include "sql/names.h"

#include <vector>

namespace sluice::sql {
namespace {

// U+E000, of the private use area: a letter to the engine's lexer, so that it survives where the engine
// forgets to quote a name.
constexpr std::string_view kMark = "\xEE\x80\x80";
constexpr char kHex[] = "0123456789abcdef";

bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

std::string Quote(std::string_view text, char quote) {
  std::string out(1, quote);
  for (char c : text) {
    out += c;
    if (c == quote) out += c;
  }
  return out += quote;
}

// Length of a macro prefix such as `__sl_df_` at the start of `text`, else 0.
size_t PrefixLength(std::string_view text) {
  if (!text.starts_with(kMacroPrefix)) return 0;
  size_t end = text.find('_', kMacroPrefix.size());
  return end == std::string_view::npos ? 0 : end + 1;
}

}  // namespace

std::string EncodeName(std::string_view name) {
  std::string bitmap((name.size() + 3) / 4, '0');
  std::vector<int> nibbles((name.size() + 3) / 4, 0);
  bool any = false;
  for (size_t i = 0; i < name.size(); ++i) {
    if (!IsUpper(name[i])) continue;
    any = true;
    nibbles[i / 4] |= 1 << (i % 4);
  }
  if (!any) return std::string(name);
  for (size_t i = 0; i < nibbles.size(); ++i) bitmap[i] = kHex[nibbles[i]];
  return std::string(name).append(kMark) + bitmap;
}

std::string DecodeName(std::string_view name) { return DecodeMessage(name); }

std::string DecodeMessage(std::string_view message) {
  std::string out;
  out.reserve(message.size());
  for (size_t i = 0; i < message.size();) {
    if (message.substr(i).starts_with(kMark)) {
      i += kMark.size();
      while (i < message.size() && IsHex(message[i])) ++i;
      continue;
    }
    if (size_t length = message[i] == '_' ? PrefixLength(message.substr(i)) : 0; length > 0) {
      i += length;
      continue;
    }
    out += message[i++];
  }
  return out;
}

std::string QuoteName(std::string_view name) { return Quote(name, '"'); }
std::string QuoteText(std::string_view text) { return Quote(text, '\''); }

}  // namespace sluice::sql

#include "multiformats/multibase.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace sluice::multiformats {
namespace {

constexpr std::string_view kHexLower = "0123456789abcdef";
constexpr std::string_view kHexUpper = "0123456789ABCDEF";
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kBase64Url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view kBase58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

// Conversion between bases that are no powers of two is quadratic; no identifier comes near this.
constexpr size_t kMaxBase58Digits = 1024;

constexpr int8_t kNoDigit = -1;
using DigitTable = std::array<int8_t, 256>;

constexpr DigitTable MakeDigitTable(std::string_view alphabet) {
  DigitTable table{};
  table.fill(kNoDigit);
  for (size_t i = 0; i < alphabet.size(); ++i) {
    table[static_cast<uint8_t>(alphabet[i])] = static_cast<int8_t>(i);
  }
  return table;
}

constexpr DigitTable MakeHexTable() {
  DigitTable table = MakeDigitTable(kHexLower);
  for (size_t i = 10; i < 16; ++i) table[static_cast<uint8_t>(kHexUpper[i])] = static_cast<int8_t>(i);
  return table;
}

constexpr DigitTable kHexLowerDigits = MakeDigitTable(kHexLower);
constexpr DigitTable kHexUpperDigits = MakeDigitTable(kHexUpper);
constexpr DigitTable kHexDigits = MakeHexTable();
constexpr DigitTable kBase64Digits = MakeDigitTable(kBase64);
constexpr DigitTable kBase64UrlDigits = MakeDigitTable(kBase64Url);
constexpr DigitTable kBase58Digits = MakeDigitTable(kBase58);

int DigitOf(const DigitTable& table, char c) { return table[static_cast<uint8_t>(c)]; }

// What an error message shows of a text that may be long.
std::string Shown(std::string_view text) {
  constexpr size_t kShown = 100;
  if (text.size() <= kShown) return std::string(text);
  return std::string(text.substr(0, kShown)) + "...";
}

Error WrongDigit(std::string_view base, std::string_view text, size_t at) {
  return InvalidArgument("{} text '{}' has a wrong digit '{}' at position {}", base, Shown(text), text[at],
                         at);
}

std::string EncodeHexWith(std::string_view alphabet, std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    out.push_back(alphabet[byte >> 4]);
    out.push_back(alphabet[byte & 15]);
  }
  return out;
}

Result<std::string> DecodeHexWith(const DigitTable& table, std::string_view text) {
  if (text.size() % 2 != 0)
    return InvalidArgument("base16 text '{}' has an odd number of digits", Shown(text));
  std::string out;
  out.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = DigitOf(table, text[i]);
    const int low = DigitOf(table, text[i + 1]);
    if (high < 0) return WrongDigit("base16", text, i);
    if (low < 0) return WrongDigit("base16", text, i + 1);
    out.push_back(static_cast<char>(high << 4 | low));
  }
  return out;
}

std::string EncodeBase64With(std::string_view alphabet, bool padded, std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<uint8_t>(c);
    count += 8;
    while (count >= 6) {
      count -= 6;
      out.push_back(alphabet[bits >> count & 63]);
    }
  }
  if (count > 0) out.push_back(alphabet[bits << (6 - count) & 63]);
  while (padded && out.size() % 4 != 0) out.push_back('=');
  return out;
}

// `text` without padding.
Result<std::string> DecodeBase64With(const DigitTable& table, std::string_view text) {
  if (text.size() % 4 == 1) return InvalidArgument("base64 text '{}' is cut short", Shown(text));
  std::string out;
  out.reserve(text.size() * 3 / 4);
  uint32_t bits = 0;
  int count = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const int digit = DigitOf(table, text[i]);
    if (digit < 0) return WrongDigit("base64", text, i);
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>(bits >> count & 255));
    }
  }
  if ((bits & ((1U << count) - 1)) != 0) {
    return InvalidArgument("base64 text '{}' has bits left over in its last digit", Shown(text));
  }
  return out;
}

// Digits of `digits` (base `from`, most significant first) in base `to`, least significant first, no leading
// zeros.
std::vector<uint8_t> ChangeBase(const std::vector<uint8_t>& digits, uint32_t from, uint32_t to) {
  std::vector<uint8_t> out;
  for (const uint8_t digit : digits) {
    uint32_t carry = digit;
    for (uint8_t& place : out) {
      carry += place * from;
      place = static_cast<uint8_t>(carry % to);
      carry /= to;
    }
    for (; carry > 0; carry /= to) out.push_back(static_cast<uint8_t>(carry % to));
  }
  return out;
}

std::string EncodeBase58(std::string_view bytes) {
  const size_t zeros = std::min(bytes.find_first_not_of('\0'), bytes.size());
  const std::vector<uint8_t> digits = ChangeBase({bytes.begin() + zeros, bytes.end()}, 256, 58);
  std::string out(zeros, kBase58[0]);
  for (auto it = digits.rbegin(); it != digits.rend(); ++it) out.push_back(kBase58[*it]);
  return out;
}

Result<std::string> DecodeBase58(std::string_view text) {
  if (text.size() > kMaxBase58Digits) {
    return InvalidArgument("base58 text '{}' is longer than {} characters", Shown(text), kMaxBase58Digits);
  }
  const size_t zeros = std::min(text.find_first_not_of(kBase58[0]), text.size());
  std::vector<uint8_t> digits;
  for (size_t i = zeros; i < text.size(); ++i) {
    const int digit = DigitOf(kBase58Digits, text[i]);
    if (digit < 0) return WrongDigit("base58", text, i);
    digits.push_back(static_cast<uint8_t>(digit));
  }
  const std::vector<uint8_t> bytes = ChangeBase(digits, 58, 256);
  std::string out(zeros, '\0');
  out.append(bytes.rbegin(), bytes.rend());
  return out;
}

}  // namespace

std::string EncodeMultibase(Multibase base, std::string_view bytes) {
  const std::string prefix(1, static_cast<char>(base));
  switch (base) {
    case Multibase::kBase16:
      return prefix + EncodeHexWith(kHexLower, bytes);
    case Multibase::kBase16Upper:
      return prefix + EncodeHexWith(kHexUpper, bytes);
    case Multibase::kBase64Url:
      return prefix + EncodeBase64Url(bytes);
    case Multibase::kBase58Btc:
      return prefix + EncodeBase58(bytes);
  }
  return prefix;
}

Result<std::string> DecodeMultibase(std::string_view text) {
  if (text.empty()) return InvalidArgument("multibase text is empty");
  const std::string_view digits = text.substr(1);
  switch (static_cast<Multibase>(text[0])) {
    case Multibase::kBase16:
      return DecodeHexWith(kHexLowerDigits, digits);
    case Multibase::kBase16Upper:
      return DecodeHexWith(kHexUpperDigits, digits);
    case Multibase::kBase64Url:
      return DecodeBase64Url(digits);
    case Multibase::kBase58Btc:
      return DecodeBase58(digits);
  }
  return InvalidArgument("multibase text '{}' has an unknown prefix '{}': known are f, F, u, z", Shown(text),
                         text[0]);
}

std::string EncodeHex(std::string_view bytes) { return EncodeHexWith(kHexLower, bytes); }

Result<std::string> DecodeHex(std::string_view text) { return DecodeHexWith(kHexDigits, text); }

std::string EncodeBase64(std::string_view bytes) { return EncodeBase64With(kBase64, true, bytes); }

Result<std::string> DecodeBase64(std::string_view text) {
  if (text.size() % 4 != 0) {
    return InvalidArgument("base64 text '{}' has a length that is no multiple of four", Shown(text));
  }
  std::string_view digits = text;
  for (int i = 0; i < 2 && digits.ends_with('='); ++i) digits.remove_suffix(1);
  return DecodeBase64With(kBase64Digits, digits);
}

std::string EncodeBase64Url(std::string_view bytes) { return EncodeBase64With(kBase64Url, false, bytes); }

Result<std::string> DecodeBase64Url(std::string_view text) {
  return DecodeBase64With(kBase64UrlDigits, text);
}

void AppendVarint(uint64_t value, std::string* out) {
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<char>(value | 0x80));
  out->push_back(static_cast<char>(value));
}

Result<uint64_t> ReadVarint(std::string_view* bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes->size(); ++i) {
    const auto byte = static_cast<uint8_t>((*bytes)[i]);
    if (i == 9 && byte > 1) return InvalidArgument("varint is over 64 bits");
    value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if ((byte & 0x80) != 0) continue;
    if (byte == 0 && i > 0) return InvalidArgument("varint is longer than its value needs");
    bytes->remove_prefix(i + 1);
    return value;
  }
  return InvalidArgument("varint is cut short");
}

}  // namespace sluice::multiformats

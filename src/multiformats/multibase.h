#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::multiformats {

// The four multibase encodings of the format (odf-metadata.md 2.2).
enum class Multibase : char { kBase16 = 'f', kBase16Upper = 'F', kBase64Url = 'u', kBase58Btc = 'z' };

// Prefix character, then the text.
std::string EncodeMultibase(Multibase base, std::string_view bytes);
// Errors: kInvalidArgument naming the text for an unknown prefix or a wrong digit.
Result<std::string> DecodeMultibase(std::string_view text);

std::string EncodeHex(std::string_view bytes);
Result<std::string> DecodeHex(std::string_view text);
std::string EncodeBase64(std::string_view bytes);  // standard alphabet, padded
Result<std::string> DecodeBase64(std::string_view text);
std::string EncodeBase64Url(std::string_view bytes);  // no padding
Result<std::string> DecodeBase64Url(std::string_view text);

// Unsigned LEB128.
void AppendVarint(uint64_t value, std::string* out);
// Consumes from the front of `*bytes`. Errors: kInvalidArgument when truncated or over 64 bits.
Result<uint64_t> ReadVarint(std::string_view* bytes);

}  // namespace sluice::multiformats

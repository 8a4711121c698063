#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::multiformats {

// Multicodec codes of the format (odf-metadata.md 3.1).
enum class HashCode : uint32_t {
  kSha2_256 = 0x12,
  kSha3_256 = 0x16,            // blocks, files
  kArrow0Sha3_256 = 0x300016,  // logical hash of data
};

// A 32-byte digest with the code of its algorithm. A value; ordered by code, then digest.
class Multihash {
 public:
  using Digest = std::array<uint8_t, 32>;

  Multihash() = default;
  Multihash(HashCode code, const Digest& digest) : code_(code), digest_(digest) {}

  HashCode code() const { return code_; }
  const Digest& digest() const { return digest_; }

  // varint(code) || varint(32) || digest.
  std::string ToBytes() const;
  // Canonical text: multibase base16, `f1620...` (69 characters for SHA3-256).
  std::string ToString() const;
  // Last 8 hex digits, for people.
  std::string ToShortString() const;

  // Errors: kInvalidArgument for a wrong length, an unknown code or trailing bytes.
  static Result<Multihash> FromBytes(std::string_view bytes);
  // Any multibase that the format knows (f, F, u, z).
  static Result<Multihash> Parse(std::string_view text);

  auto operator<=>(const Multihash&) const = default;

 private:
  HashCode code_ = HashCode::kSha3_256;
  Digest digest_{};
};

// SHA3-256 multihash of `bytes`.
Multihash Sha3Multihash(std::string_view bytes);

}  // namespace sluice::multiformats

template <>
struct std::hash<sluice::multiformats::Multihash> {
  size_t operator()(const sluice::multiformats::Multihash& hash) const noexcept {
    size_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | hash.digest()[i];
    return value;
  }
};

#include "multiformats/multihash.h"

#include <algorithm>

#include "multiformats/multibase.h"
#include "multiformats/sha3.h"

namespace sluice::multiformats {
namespace {

bool IsKnown(uint64_t code) {
  for (const HashCode known : {HashCode::kSha2_256, HashCode::kSha3_256, HashCode::kArrow0Sha3_256}) {
    if (code == static_cast<uint64_t>(known)) return true;
  }
  return false;
}

std::string_view BytesOf(const Multihash::Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

}  // namespace

std::string Multihash::ToBytes() const {
  std::string out;
  AppendVarint(static_cast<uint64_t>(code_), &out);
  AppendVarint(digest_.size(), &out);
  out += BytesOf(digest_);
  return out;
}

std::string Multihash::ToString() const { return EncodeMultibase(Multibase::kBase16, ToBytes()); }

std::string Multihash::ToShortString() const {
  return EncodeHex(BytesOf(digest_).substr(digest_.size() - 4));
}

Result<Multihash> Multihash::FromBytes(std::string_view bytes) {
  std::string_view rest = bytes;
  ASSIGN_OR_RETURN(const uint64_t code, ReadVarint(&rest));
  ASSIGN_OR_RETURN(const uint64_t size, ReadVarint(&rest));
  if (!IsKnown(code)) {
    return InvalidArgument("multihash has the unknown code 0x{:x}: known are 0x12, 0x16, 0x300016", code);
  }
  Digest digest;
  if (size != digest.size())
    return InvalidArgument("multihash has a digest of {} bytes, not {}", size, digest.size());
  if (rest.size() != size) {
    return InvalidArgument("multihash announces {} bytes of digest and has {}", size, rest.size());
  }
  std::copy(rest.begin(), rest.end(), digest.begin());
  return Multihash(static_cast<HashCode>(code), digest);
}

Result<Multihash> Multihash::Parse(std::string_view text) {
  const auto bytes = DecodeMultibase(text);
  auto hash = bytes.ok() ? FromBytes(*bytes) : Result<Multihash>(bytes.error());
  if (!hash.ok())
    return InvalidArgument("'{}' is no multihash: {}", text.substr(0, 100), hash.error().message());
  return hash;
}

Multihash Sha3Multihash(std::string_view bytes) { return {HashCode::kSha3_256, Sha3(bytes)}; }

}  // namespace sluice::multiformats

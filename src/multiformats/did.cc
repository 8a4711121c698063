#include "multiformats/did.h"

#include <algorithm>
#include <bit>

#include "multiformats/multibase.h"

namespace sluice::multiformats {
namespace {

constexpr std::string_view kOdfPrefix = "did:odf:";
constexpr std::string_view kKeyPrefix = "did:key:";
constexpr std::string_view kEd25519Prefix = "\xed\x01";  // varint of multicodec ed25519-pub

// xoshiro256++, the generator that the format's seeded ids are defined by.
class SeededGenerator {
 public:
  explicit SeededGenerator(std::string_view seed) {
    for (size_t i = 0; i < std::min<size_t>(seed.size(), 32); ++i) {
      state_[i / 8] |= static_cast<uint64_t>(static_cast<uint8_t>(seed[i])) << (i % 8 * 8);
    }
    if (std::ranges::all_of(state_, [](uint64_t word) { return word == 0; })) FillFromSplitMix();
  }

  uint64_t Next() {
    const uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
    const uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

 private:
  void FillFromSplitMix() {
    uint64_t x = 0;
    for (uint64_t& word : state_) {
      x += 0x9E3779B97F4A7C15;
      uint64_t z = x;
      z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
      z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
      word = z ^ (z >> 31);
    }
  }

  std::array<uint64_t, 4> state_{};
};

}  // namespace

std::string DatasetId::ToBytes() const {
  std::string out(kEd25519Prefix);
  out.append(key_.begin(), key_.end());
  return out;
}

std::string DatasetId::ToString() const { return std::string(kOdfPrefix) + ToMultibase(); }

std::string DatasetId::ToMultibase() const { return EncodeMultibase(Multibase::kBase16, ToBytes()); }

std::string DatasetId::ToDidKey() const {
  return std::string(kKeyPrefix) + EncodeMultibase(Multibase::kBase58Btc, ToBytes());
}

Result<DatasetId> DatasetId::FromBytes(std::string_view bytes) {
  if (!bytes.starts_with(kEd25519Prefix)) return InvalidArgument("dataset id is no ed25519 public key");
  bytes.remove_prefix(kEd25519Prefix.size());
  Key key;
  if (bytes.size() != key.size()) {
    return InvalidArgument("dataset id has a key of {} bytes, not {}", bytes.size(), key.size());
  }
  std::copy(bytes.begin(), bytes.end(), key.begin());
  return DatasetId(key);
}

Result<DatasetId> DatasetId::Parse(std::string_view text) {
  for (const std::string_view prefix : {kOdfPrefix, kKeyPrefix}) {
    if (!text.starts_with(prefix)) continue;
    auto id = ParseMultibase(text.substr(prefix.size()));
    if (!id.ok())
      return InvalidArgument("'{}' is no dataset id: {}", text.substr(0, 120), id.error().message());
    return id;
  }
  return InvalidArgument("'{}' is no dataset id: it starts with neither 'did:odf:' nor 'did:key:'",
                         text.substr(0, 120));
}

Result<DatasetId> DatasetId::ParseMultibase(std::string_view text) {
  ASSIGN_OR_RETURN(const std::string bytes, DecodeMultibase(text));
  auto id = FromBytes(bytes);
  if (!id.ok()) return InvalidArgument("'{}': {}", text.substr(0, 120), id.error().message());
  return id;
}

DatasetId DatasetId::FromSeed(std::string_view seed) {
  SeededGenerator generator(seed);
  Key key;
  for (size_t i = 0; i < key.size(); i += 8) {
    const uint64_t word = generator.Next();
    for (size_t j = 0; j < 8; ++j) key[i + j] = static_cast<uint8_t>(word >> (8 * j));
  }
  return DatasetId(key);
}

}  // namespace sluice::multiformats

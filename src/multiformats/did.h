#pragma once

#include <array>
#include <compare>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::multiformats {

// did:odf: an ed25519 public key that names a dataset (odf-metadata.md 2.1). A value.
class DatasetId {
 public:
  using Key = std::array<uint8_t, 32>;

  DatasetId() = default;
  explicit DatasetId(const Key& public_key) : key_(public_key) {}

  const Key& public_key() const { return key_; }

  std::string ToBytes() const;      // 34 bytes: ed 01, key
  std::string ToString() const;     // did:odf:fed01...
  std::string ToMultibase() const;  // fed01...: the dataset's folder name
  std::string ToDidKey() const;     // did:key:z6Mk...

  static Result<DatasetId> FromBytes(std::string_view bytes);
  // did:odf: or did:key:, any multibase of the format. Errors: kInvalidArgument naming the text.
  static Result<DatasetId> Parse(std::string_view text);
  // The bare multibase form of folder names.
  static Result<DatasetId> ParseMultibase(std::string_view text);
  // Deterministic id of tests and built-in accounts (odf-metadata.md 2.6). `seed` has at most 32 bytes.
  static DatasetId FromSeed(std::string_view seed);

  auto operator<=>(const DatasetId&) const = default;

 private:
  Key key_{};
};

// An ed25519 key pair. Private keys are kept outside dataset folders.
class KeyPair {
 public:
  // From the operating system's generator. Errors: kInternal when the crypto library fails.
  static Result<KeyPair> Generate();
  static Result<KeyPair> FromPrivateKey(std::string_view seed32);
  // `u` || base64url of the 32-byte private key.
  static Result<KeyPair> ParsePrivateKey(std::string_view text);

  const DatasetId& id() const { return id_; }
  std::string PrivateKeyText() const;
  // 64 bytes.
  Result<std::string> Sign(std::string_view message) const;

 private:
  KeyPair(std::string seed, DatasetId id) : seed_(std::move(seed)), id_(id) {}
  std::string seed_;
  DatasetId id_;
};

// True when `signature` (64 bytes) is `signer`'s over `message`.
bool VerifySignature(const DatasetId& signer, std::string_view message, std::string_view signature);

}  // namespace sluice::multiformats

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <memory>

#include "multiformats/did.h"
#include "multiformats/multibase.h"

// Ed25519 by OpenSSL.
namespace sluice::multiformats {
namespace {

constexpr size_t kSeedBytes = 32;
constexpr size_t kSignatureBytes = 64;

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using KeyHandle = std::unique_ptr<EVP_PKEY, FreeKey>;
using ContextHandle = std::unique_ptr<EVP_MD_CTX, FreeContext>;

const uint8_t* Bytes(std::string_view text) { return reinterpret_cast<const uint8_t*>(text.data()); }

KeyHandle PrivateKey(std::string_view seed) {
  return KeyHandle(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, Bytes(seed), seed.size()));
}

}  // namespace

Result<KeyPair> KeyPair::Generate() {
  std::string seed(kSeedBytes, '\0');
  if (RAND_priv_bytes(reinterpret_cast<uint8_t*>(seed.data()), kSeedBytes) != 1) {
    return Internal("the system's random generator gave no key");
  }
  return FromPrivateKey(seed);
}

Result<KeyPair> KeyPair::FromPrivateKey(std::string_view seed32) {
  if (seed32.size() != kSeedBytes) {
    return InvalidArgument("private key has {} bytes, not {}", seed32.size(), kSeedBytes);
  }
  const KeyHandle key = PrivateKey(seed32);
  DatasetId::Key public_key;
  size_t size = public_key.size();
  if (key == nullptr || EVP_PKEY_get_raw_public_key(key.get(), public_key.data(), &size) != 1 ||
      size != public_key.size()) {
    return Internal("the crypto library derived no public key");
  }
  return KeyPair(std::string(seed32), DatasetId(public_key));
}

Result<KeyPair> KeyPair::ParsePrivateKey(std::string_view text) {
  // The text is a secret: messages do not quote it.
  if (!text.starts_with(static_cast<char>(Multibase::kBase64Url))) {
    return InvalidArgument("private key text does not start with 'u'");
  }
  const auto seed = DecodeMultibase(text);
  if (!seed.ok()) return InvalidArgument("private key text is not base64url");
  return FromPrivateKey(*seed);
}

std::string KeyPair::PrivateKeyText() const { return EncodeMultibase(Multibase::kBase64Url, seed_); }

Result<std::string> KeyPair::Sign(std::string_view message) const {
  const KeyHandle key = PrivateKey(seed_);
  const ContextHandle context(EVP_MD_CTX_new());
  std::string signature(kSignatureBytes, '\0');
  size_t size = signature.size();
  if (key == nullptr || context == nullptr ||
      EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<uint8_t*>(signature.data()), &size, Bytes(message),
                     message.size()) != 1 ||
      size != signature.size()) {
    return Internal("the crypto library made no signature");
  }
  return signature;
}

bool VerifySignature(const DatasetId& signer, std::string_view message, std::string_view signature) {
  if (signature.size() != kSignatureBytes) return false;
  const auto& public_key = signer.public_key();
  const KeyHandle key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, public_key.data(), public_key.size()));
  const ContextHandle context(EVP_MD_CTX_new());
  return key != nullptr && context != nullptr &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
         EVP_DigestVerify(context.get(), Bytes(signature), signature.size(), Bytes(message),
                          message.size()) == 1;
}

}  // namespace sluice::multiformats

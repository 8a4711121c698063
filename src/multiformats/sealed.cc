#include "multiformats/sealed.h"

#include <openssl/evp.h>

#include <memory>

#include "base/random.h"

namespace sluice::multiformats {
namespace {

constexpr size_t kNonceBytes = 12;
constexpr size_t kTagBytes = 16;

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

Status CheckKey(std::string_view key) {
  if (key.size() == kSealKeyBytes) return {};
  return InvalidArgument("a key has {} bytes, not {}", kSealKeyBytes, key.size());
}

}  // namespace

Result<std::string> Seal(std::string_view key, std::string_view text, std::string_view context) {
  RETURN_IF_ERROR(CheckKey(key));
  const std::unique_ptr<EVP_CIPHER_CTX, FreeContext> cipher(EVP_CIPHER_CTX_new());
  const std::string nonce = RandomBytes(kNonceBytes);
  std::string sealed(text.size(), '\0'), tag(kTagBytes, '\0');
  int n = 0;
  const bool good =
      EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, Bytes(key), Bytes(nonce)) == 1 &&
      EVP_EncryptUpdate(cipher.get(), nullptr, &n, Bytes(context), static_cast<int>(context.size())) == 1 &&
      EVP_EncryptUpdate(cipher.get(), Bytes(sealed), &n, Bytes(text), static_cast<int>(text.size())) == 1 &&
      EVP_EncryptFinal_ex(cipher.get(), Bytes(sealed) + n, &n) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, tag.data()) == 1;
  if (!good) return Internal("cannot encrypt");
  return nonce + sealed + tag;
}

Result<std::string> Unseal(std::string_view key, std::string_view sealed, std::string_view context) {
  RETURN_IF_ERROR(CheckKey(key));
  const Error refused(ErrorCode::kPermissionDenied,
                      "the secret cannot be decrypted: it was encrypted with another key, or damaged");
  if (sealed.size() < kNonceBytes + kTagBytes) return refused;
  const auto nonce = sealed.substr(0, kNonceBytes);
  const auto body = sealed.substr(kNonceBytes, sealed.size() - kNonceBytes - kTagBytes);
  std::string tag(sealed.substr(sealed.size() - kTagBytes));
  const std::unique_ptr<EVP_CIPHER_CTX, FreeContext> cipher(EVP_CIPHER_CTX_new());
  std::string text(body.size(), '\0');
  int n = 0;
  const bool good =
      EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, Bytes(key), Bytes(nonce)) == 1 &&
      EVP_DecryptUpdate(cipher.get(), nullptr, &n, Bytes(context), static_cast<int>(context.size())) == 1 &&
      EVP_DecryptUpdate(cipher.get(), Bytes(text), &n, Bytes(body), static_cast<int>(body.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(cipher.get(), Bytes(text) + n, &n) == 1;
  if (!good) return refused;
  return text;
}

}  // namespace sluice::multiformats

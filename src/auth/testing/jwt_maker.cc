#include "auth/testing/jwt_maker.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "multiformats/multibase.h"

namespace sluice::auth {

using multiformats::EncodeBase64Url;

struct JwtMaker::Impl {
  std::string kind, key_id;
  EVP_PKEY* key = nullptr;
};

namespace {

std::string Number(EVP_PKEY* key, const char* name, int bytes = 0) {
  BIGNUM* number = nullptr;
  EVP_PKEY_get_bn_param(key, name, &number);
  std::string text(static_cast<size_t>(bytes > 0 ? bytes : BN_num_bytes(number)), '\0');
  BN_bn2binpad(number, reinterpret_cast<unsigned char*>(text.data()), static_cast<int>(text.size()));
  BN_free(number);
  return text;
}

// OpenSSL's form of an ECDSA signature -> r || s.
std::string RawSignature(const std::string& der) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
  ECDSA_SIG* signature = d2i_ECDSA_SIG(nullptr, &bytes, static_cast<long>(der.size()));
  std::string raw(64, '\0');
  BN_bn2binpad(ECDSA_SIG_get0_r(signature), reinterpret_cast<unsigned char*>(raw.data()), 32);
  BN_bn2binpad(ECDSA_SIG_get0_s(signature), reinterpret_cast<unsigned char*>(raw.data()) + 32, 32);
  ECDSA_SIG_free(signature);
  return raw;
}

}  // namespace

JwtMaker::JwtMaker(std::string kind, std::string key_id)
    : impl_(std::make_unique<Impl>(Impl{std::move(kind), std::move(key_id)})) {
  if (impl_->kind == "RS256") impl_->key = EVP_RSA_gen(2048);
  if (impl_->kind == "ES256") impl_->key = EVP_EC_gen("P-256");
  if (impl_->kind == "EdDSA") impl_->key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
}

JwtMaker::~JwtMaker() { EVP_PKEY_free(impl_->key); }

nlohmann::json JwtMaker::PublicKey() const {
  nlohmann::json key = {{"kid", impl_->key_id}, {"use", "sig"}, {"alg", impl_->kind}};
  if (impl_->kind == "RS256") {
    key["kty"] = "RSA";
    key["n"] = EncodeBase64Url(Number(impl_->key, OSSL_PKEY_PARAM_RSA_N));
    key["e"] = EncodeBase64Url(Number(impl_->key, OSSL_PKEY_PARAM_RSA_E));
  } else if (impl_->kind == "ES256") {
    key["kty"] = "EC";
    key["crv"] = "P-256";
    key["x"] = EncodeBase64Url(Number(impl_->key, OSSL_PKEY_PARAM_EC_PUB_X, 32));
    key["y"] = EncodeBase64Url(Number(impl_->key, OSSL_PKEY_PARAM_EC_PUB_Y, 32));
  } else {
    std::string raw(32, '\0');
    size_t size = raw.size();
    EVP_PKEY_get_raw_public_key(impl_->key, reinterpret_cast<unsigned char*>(raw.data()), &size);
    key["kty"] = "OKP";
    key["crv"] = "Ed25519";
    key["x"] = EncodeBase64Url(raw);
  }
  return key;
}

std::string JwtMaker::Sign(const nlohmann::json& claims, const std::string& algorithm) const {
  const nlohmann::json header = {
      {"typ", "JWT"}, {"alg", algorithm.empty() ? impl_->kind : algorithm}, {"kid", impl_->key_id}};
  return SignRaw(header.dump(), claims.dump());
}

std::string JwtMaker::SignRaw(const std::string& header, const std::string& payload) const {
  const std::string text = EncodeBase64Url(header) + "." + EncodeBase64Url(payload);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_DigestSignInit(context, nullptr, impl_->kind == "EdDSA" ? nullptr : EVP_sha256(), nullptr, impl_->key);
  std::string signature(1024, '\0');
  size_t size = signature.size();
  EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size,
                 reinterpret_cast<const unsigned char*>(text.data()), text.size());
  EVP_MD_CTX_free(context);
  signature.resize(size);
  if (impl_->kind == "ES256") signature = RawSignature(signature);
  return text + "." + EncodeBase64Url(signature);
}

std::string KeySetOf(std::initializer_list<const JwtMaker*> makers) {
  nlohmann::json keys = nlohmann::json::array();
  for (const JwtMaker* maker : makers) keys.push_back(maker->PublicKey());
  return nlohmann::json{{"keys", keys}}.dump();
}

}  // namespace sluice::auth

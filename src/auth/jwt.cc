#include "auth/jwt.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "multiformats/multibase.h"

namespace sluice::auth {
namespace {

using nlohmann::json;

constexpr size_t kMaxTokenBytes = 16 << 10;
constexpr size_t kMaxKeys = 64;
constexpr int kMinRsaBits = 2048;
constexpr size_t kCoordinateBytes = 32;  // of P-256

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using KeyPointer = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using BuilderPointer = std::unique_ptr<OSSL_PARAM_BLD, Deleter<OSSL_PARAM_BLD_free>>;
using ParamsPointer = std::unique_ptr<OSSL_PARAM, Deleter<OSSL_PARAM_free>>;
using ContextPointer = std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX_free>>;
using DigestPointer = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using NumberPointer = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using SignaturePointer = std::unique_ptr<ECDSA_SIG, Deleter<ECDSA_SIG_free>>;

enum class Algorithm { kRs256, kEs256, kEdDsa };

struct PublicKey {
  std::string id;
  Algorithm algorithm = Algorithm::kRs256;
  KeyPointer key;
};

Error Refused(std::string_view why) {
  return MakeError(ErrorCode::kUnauthenticated, "the token is not valid: {}", why);
}

std::string TextOf(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string BytesOf(const json& object, const char* name) {
  auto bytes = multiformats::DecodeBase64Url(TextOf(object, name));
  return bytes.ok() ? *bytes : std::string();
}

NumberPointer NumberOf(const std::string& bytes) {
  return NumberPointer(BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()),
                                 static_cast<int>(bytes.size()), nullptr));
}

KeyPointer FromParams(const char* type, OSSL_PARAM_BLD* builder) {
  const ParamsPointer params(OSSL_PARAM_BLD_to_param(builder));
  const ContextPointer context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (params != nullptr && context != nullptr && EVP_PKEY_fromdata_init(context.get()) == 1) {
    EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get());
  }
  ERR_clear_error();
  return KeyPointer(key);
}

KeyPointer RsaKey(const json& item) {
  const std::string modulus = BytesOf(item, "n"), exponent = BytesOf(item, "e");
  if (modulus.empty() || modulus.size() > 2048 || exponent.empty() || exponent.size() > 8) return nullptr;
  const NumberPointer n = NumberOf(modulus), e = NumberOf(exponent);
  const BuilderPointer builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
  KeyPointer key = FromParams("RSA", builder.get());
  if (key != nullptr && EVP_PKEY_get_bits(key.get()) < kMinRsaBits) return nullptr;
  return key;
}

KeyPointer P256Key(const json& item) {
  const std::string x = BytesOf(item, "x"), y = BytesOf(item, "y");
  if (TextOf(item, "crv") != "P-256" || x.size() != kCoordinateBytes || y.size() != kCoordinateBytes)
    return nullptr;
  const std::string point = "\x04" + x + y;
  const BuilderPointer builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
  return FromParams("EC", builder.get());
}

KeyPointer Ed25519Key(const json& item) {
  const std::string x = BytesOf(item, "x");
  if (TextOf(item, "crv") != "Ed25519" || x.size() != 32) return nullptr;
  return KeyPointer(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr,
                                                reinterpret_cast<const unsigned char*>(x.data()), x.size()));
}

std::optional<PublicKey> ParseKey(const json& item) {
  if (!item.is_object()) return std::nullopt;
  const std::string use = TextOf(item, "use"), type = TextOf(item, "kty"), named = TextOf(item, "alg");
  if (!use.empty() && use != "sig") return std::nullopt;
  PublicKey key{.id = TextOf(item, "kid")};
  std::string_view name;
  if (type == "RSA") {
    key.key = RsaKey(item);
    name = "RS256";
  } else if (type == "EC") {
    key.algorithm = Algorithm::kEs256;
    key.key = P256Key(item);
    name = "ES256";
  } else if (type == "OKP") {
    key.algorithm = Algorithm::kEdDsa;
    key.key = Ed25519Key(item);
    name = "EdDSA";
  }
  if (key.key == nullptr || (!named.empty() && named != name)) return std::nullopt;
  return key;
}

class KeySetImpl final : public KeySet {
 public:
  explicit KeySetImpl(std::vector<PublicKey> keys) : keys_(std::move(keys)) {}
  size_t size() const override { return keys_.size(); }
  bool Contains(std::string_view id) const override {
    return std::ranges::any_of(keys_, [&](const PublicKey& key) { return key.id == id; });
  }
  const std::vector<PublicKey>& keys() const { return keys_; }

 private:
  const std::vector<PublicKey> keys_;
};

struct Parts {
  std::string_view header, payload, signature, signed_text;
};

Result<Parts> Split(std::string_view token) {
  const size_t first = token.find('.');
  const size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (token.size() > kMaxTokenBytes || second == std::string_view::npos ||
      token.find('.', second + 1) != std::string_view::npos) {
    return Refused("it is not a signed JWT");
  }
  return Parts{token.substr(0, first), token.substr(first + 1, second - first - 1), token.substr(second + 1),
               token.substr(0, second)};
}

Result<json> DecodeObject(std::string_view base64) {
  const auto text = multiformats::DecodeBase64Url(base64);
  if (!text.ok()) return Refused("it is not a signed JWT");
  json object = json::parse(*text, nullptr, false);
  if (!object.is_object()) return Refused("it is not a signed JWT");
  return object;
}

Result<json> HeaderOf(const Parts& parts) {
  ASSIGN_OR_RETURN(json header, DecodeObject(parts.header));
  // Extensions that must be understood are not.
  if (header.contains("crit")) return Refused("it has critical extensions");
  return header;
}

// r || s as OpenSSL wants it; empty when it is not 64 bytes.
std::string DerSignature(std::string_view raw) {
  if (raw.size() != 2 * kCoordinateBytes) return {};
  const SignaturePointer signature(ECDSA_SIG_new());
  ECDSA_SIG_set0(signature.get(), NumberOf(std::string(raw.substr(0, kCoordinateBytes))).release(),
                 NumberOf(std::string(raw.substr(kCoordinateBytes))).release());
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  if (size <= 0) return {};
  std::string bytes(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return bytes;
}

bool IsSignedBy(const PublicKey& key, std::string_view text, const std::string& signature) {
  const std::string bytes = key.algorithm == Algorithm::kEs256 ? DerSignature(signature) : signature;
  if (bytes.empty()) return false;
  const DigestPointer context(EVP_MD_CTX_new());
  const EVP_MD* digest = key.algorithm == Algorithm::kEdDsa ? nullptr : EVP_sha256();
  const bool is_good =
      context != nullptr &&
      EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key.key.get()) == 1 &&
      EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                       reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1;
  ERR_clear_error();
  return is_good;
}

std::optional<Algorithm> AlgorithmOf(const std::string& name) {
  if (name == "RS256") return Algorithm::kRs256;
  if (name == "ES256") return Algorithm::kEs256;
  if (name == "EdDSA") return Algorithm::kEdDsa;
  return std::nullopt;
}

// Seconds since the epoch. Errors: when it is there and is no time.
Result<std::optional<double>> TimeOf(const json& claims, const char* name) {
  const auto found = claims.find(name);
  if (found == claims.end()) return std::optional<double>();
  if (!found->is_number()) return Refused(fmt::format("its '{}' is not a time", name));
  const double seconds = found->get<double>();
  if (!std::isfinite(seconds) || std::abs(seconds) > 1e12)
    return Refused(fmt::format("its '{}' is not a time", name));
  return std::optional<double>(seconds);
}

bool Holds(const json& claim, const std::string& value) {
  if (claim.is_string()) return claim.get_ref<const std::string&>() == value;
  return claim.is_array() && std::ranges::any_of(claim, [&](const json& item) {
           return item.is_string() && item.get_ref<const std::string&>() == value;
         });
}

void AddScopes(std::string_view text, std::vector<Scope>& scopes) {
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    if (auto scope = ParseScope(text.substr(0, end)); scope.ok()) scopes.push_back(std::move(*scope));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

Result<Principal> PrincipalOf(const json& claims, const JwtRules& rules, Instant now) {
  const double time = static_cast<double>(now.seconds);
  const double leeway = static_cast<double>(rules.leeway.count());
  ASSIGN_OR_RETURN(const auto expires, TimeOf(claims, "exp"));
  ASSIGN_OR_RETURN(const auto not_before, TimeOf(claims, "nbf"));
  if (!expires) return Refused("it has no 'exp'");
  if (*expires + leeway <= time) return Refused("it has expired");
  if (not_before && *not_before - leeway > time) return Refused("it is not valid yet");
  if (TextOf(claims, "iss") != rules.issuer) return Refused("its 'iss' is another");
  if (!claims.contains("aud") || !Holds(claims["aud"], rules.audience))
    return Refused("its 'aud' is another");
  Principal principal;
  principal.account = TextOf(claims, rules.account_claim.c_str());
  if (!CheckAccount(principal.account).ok()) {
    return Refused(fmt::format("its '{}' is not the name of an account", rules.account_claim));
  }
  principal.expires = Instant{static_cast<int64_t>(*expires), 0};
  const auto scope = claims.find(rules.scope_claim);
  if (scope != claims.end() && scope->is_string()) {
    AddScopes(scope->get_ref<const std::string&>(), principal.scopes);
  } else if (scope != claims.end() && scope->is_array()) {
    for (const json& item : *scope) {
      if (item.is_string()) AddScopes(item.get_ref<const std::string&>(), principal.scopes);
    }
  }
  return principal;
}

}  // namespace

Result<std::shared_ptr<const KeySet>> KeySet::Parse(std::string_view text) {
  const json set = json::parse(text, nullptr, false);
  if (!set.is_object() || !set.contains("keys") || !set["keys"].is_array()) {
    return InvalidArgument("not a JSON Web Key Set: it has no list 'keys'");
  }
  std::vector<PublicKey> keys;
  for (const json& item : set["keys"]) {
    if (keys.size() >= kMaxKeys) return InvalidArgument("the key set has more than {} keys", kMaxKeys);
    if (auto key = ParseKey(item)) keys.push_back(std::move(*key));
  }
  return std::shared_ptr<const KeySet>(std::make_shared<KeySetImpl>(std::move(keys)));
}

Result<std::string> KeyIdOf(std::string_view token) {
  ASSIGN_OR_RETURN(const Parts parts, Split(token));
  ASSIGN_OR_RETURN(const json header, HeaderOf(parts));
  return TextOf(header, "kid");
}

Result<Principal> VerifyJwt(std::string_view token, const KeySet& keys, const JwtRules& rules, Instant now) {
  ASSIGN_OR_RETURN(const Parts parts, Split(token));
  ASSIGN_OR_RETURN(const json header, HeaderOf(parts));
  const auto algorithm = AlgorithmOf(TextOf(header, "alg"));
  if (!algorithm) return Refused("it is not signed with RS256, ES256 or EdDSA");
  const std::string key_id = TextOf(header, "kid");
  const auto signature = multiformats::DecodeBase64Url(parts.signature);
  if (!signature.ok()) return Refused("its signature is wrong");
  bool is_signed = false;
  for (const PublicKey& key : static_cast<const KeySetImpl&>(keys).keys()) {
    // The key decides how it may be used, not the token.
    if (key.algorithm != *algorithm || (!key_id.empty() && key.id != key_id)) continue;
    if (IsSignedBy(key, parts.signed_text, *signature)) {
      is_signed = true;
      break;
    }
  }
  if (!is_signed) return Refused("its signature is wrong");
  ASSIGN_OR_RETURN(const json claims, DecodeObject(parts.payload));
  return PrincipalOf(claims, rules, now);
}

}  // namespace sluice::auth

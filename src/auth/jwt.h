#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/access.h"
#include "base/result.h"

namespace sluice::auth {

// What a JWT must say, and where it says who it is for.
struct JwtRules {
  std::string issuer;    // `iss` must be this
  std::string audience;  // `aud` must be this, or hold it
  std::string account_claim = "sub";
  std::string scope_claim = "scope";  // text with spaces, or a list; what is no scope of ours is passed over
  std::chrono::seconds leeway{60};    // between the clocks
};

// The public keys of one key set (RFC 7517). Immutable, thread-safe.
class KeySet {
 public:
  virtual ~KeySet() = default;
  // RSA from 2048 bits, P-256, Ed25519; keys of other kinds, and for other uses than signatures, are passed
  // over. Errors: kInvalidArgument for what is no key set.
  static Result<std::shared_ptr<const KeySet>> Parse(std::string_view json);
  virtual size_t size() const = 0;
  virtual bool Contains(std::string_view key_id) const = 0;
};

// `kid` of a token's header, empty when it has none. Errors: kUnauthenticated for what is no JWT.
Result<std::string> KeyIdOf(std::string_view token);

// A token (RFC 7519, compact, signed) against keys and rules: RS256, ES256 or EdDSA, whichever fits the key
// that it names; `exp` is required. Errors: kUnauthenticated, naming the claim that is wrong but no value.
Result<Principal> VerifyJwt(std::string_view token, const KeySet& keys, const JwtRules& rules, Instant now);

}  // namespace sluice::auth

#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "auth/access.h"
#include "auth/jwt.h"
#include "auth/token_store.h"
#include "base/clock.h"

namespace sluice::auth {

// Tokens of an identity provider.
struct JwtOptions {
  std::string jwks;  // a file, or an https URL (http on loopback): where its public keys are
  JwtRules rules;
  std::chrono::seconds max_age{600};       // of keys before they are fetched again
  std::chrono::seconds refetch_every{30};  // at most, whatever key ids are asked for
  std::chrono::milliseconds fetch_timeout{5000};
};

struct AuthenticatorOptions {
  std::string workspace_root;  // of the token store
  std::optional<JwtOptions> jwt;
};

// Tells who shows a token. Thread-safe; blocks while keys are fetched, for one caller at a time: the others
// use the keys that there are.
class Authenticator {
 public:
  virtual ~Authenticator() = default;
  // Fetches keys, so that a wrong address is found at once. `clock` must outlive it. Errors: those of
  // TokenStore::Open and KeySet::Parse; kInvalidArgument for rules without issuer or audience, and for an
  // address that is neither https nor loopback; kUnavailable.
  static Result<std::unique_ptr<Authenticator>> Make(const AuthenticatorOptions& options, const Clock& clock);

  // A token as it follows `Bearer`. Errors: kUnauthenticated; kUnavailable when it cannot be found out.
  virtual Result<Principal> Check(std::string_view token) = 0;
  virtual TokenStore& tokens() = 0;
};

// The token of an Authorization header's value; nothing when it is not of scheme Bearer.
std::optional<std::string_view> BearerToken(std::string_view authorization);

}  // namespace sluice::auth

#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/access.h"
#include "base/clock.h"
#include "base/result.h"

namespace sluice::auth {

struct TokenSpec {
  std::string account;
  std::vector<Scope> scopes;                     // at least one
  std::optional<std::chrono::seconds> lifetime;  // nothing = until it is revoked
};

// A token as it is kept: without its secret.
struct TokenInfo {
  std::string id;
  std::string account;
  std::vector<Scope> scopes;
  Instant created;
  std::optional<Instant> expires;
};

struct NewToken {
  TokenInfo info;
  std::string text;  // `sluice_ID_SECRET`: shown once, kept nowhere
};

// The access tokens of a workspace, in its file `tokens` (mode 0600), which holds SHA-256 digests of the
// secrets. Several processes may use it: changes are made under a lock, replace the file durably, and are
// seen by the others within a fifth of a second, new tokens at once. Thread-safe.
class TokenStore {
 public:
  virtual ~TokenStore() = default;
  // `root` is the workspace's `.sluice`. No file is no tokens. Errors: kCorruption for a file that is none;
  // kPermissionDenied for one that others than its owner may write.
  static Result<std::unique_ptr<TokenStore>> Open(const std::string& root);

  // Durable when it returns. Errors: kInvalidArgument for the account, for no scopes and for lifetimes that
  // are not positive.
  virtual Result<NewToken> Create(const TokenSpec& spec, const Clock& clock) = 0;
  // In order of creation, expired ones included.
  virtual Result<std::vector<TokenInfo>> List() = 0;
  // Durable when it returns. Errors: kNotFound.
  virtual Status Revoke(std::string_view id) = 0;
  // Takes the same time whether the secret is wrong by one character or by all. Errors: kUnauthenticated
  // without saying why; kUnavailable while the file cannot be read: nobody is let in then.
  virtual Result<Principal> Check(std::string_view token, Instant now) = 0;
};

// Whether it looks like a token of a store, and not like a JWT.
bool IsStoredToken(std::string_view token);

// `30d`, `12h`, `90m`, `45s`. Errors: kInvalidArgument.
Result<std::chrono::seconds> ParseLifetime(std::string_view text);

}  // namespace sluice::auth

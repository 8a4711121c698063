#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.h"
#include "base/result.h"

namespace sluice::auth {

// What a bearer of a token may do. A value.
struct Scope {
  enum class Kind { kAdmin, kRead, kPush };
  Kind kind = Kind::kRead;
  std::string dataset;  // of a push: its name within the account; empty = every dataset
  std::string source;   // of a push: empty = every source

  bool operator==(const Scope&) const = default;
};

// `admin`, `read`, `push`, `push:DATASET`, `push:DATASET/SOURCE`. Errors: kInvalidArgument listing these.
Result<Scope> ParseScope(std::string_view text);
std::string ToString(const Scope& scope);

// Who shows a token that is good.
struct Principal {
  std::string token_id;  // of a stored token; empty for a JWT
  std::string account;
  std::vector<Scope> scopes;
  std::optional<Instant> expires;

  // `dataset` is an alias, with or without this account before it; compared without case, as names are.
  bool MayAdminister() const;
  // Also true with any right to push to the dataset when `source` is given and the right covers it: a client
  // has to read the state of the source that it pushes to.
  bool MayRead(std::string_view dataset, const std::optional<std::string>& source) const;
  // Without a source: whether it may push to some source of the dataset. Which one a batch goes to is known
  // later; ask again then.
  bool MayPush(std::string_view dataset, const std::optional<std::string>& source) const;
};

// An account's name in tokens: letters, digits, `-`, `_`, `.`, at most 100. Errors: kInvalidArgument.
Status CheckAccount(std::string_view account);

}  // namespace sluice::auth

#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace sluice::sql {

// What a dialect's text looks like before the engine's parser sees it.
struct LexRules {
  bool backtick_names = false;         // `name`
  bool double_quoted_strings = false;  // "text", with backslash escapes in both kinds of strings
  std::string_view bare_decimal;       // what DECIMAL without parameters means; empty = as the engine has it
};

// A statement in the engine's syntax, token for token: comments gone; reserved words that can only be names
// quoted (`select to, hash from input`, `x as from`); single-quoted table names after FROM and JOIN quoted as
// names.
struct NormalText {
  std::string text;
  std::vector<std::pair<size_t, size_t>> offsets;  // (in `text`, in the source) where each token starts
  // Source text of each item of the outermost select list, for the names of columns that have none; empty
  // when not simple.
  std::vector<std::string> items;

  size_t ToSource(size_t offset) const;
};

// Errors: kInvalidArgument for an unterminated string, name or comment, and for a statement over 1 MiB.
Result<NormalText> Normalise(std::string_view statement, const LexRules& rules);

}  // namespace sluice::sql

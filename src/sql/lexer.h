#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sql/normalise.h"

namespace sluice::sql {

struct Token {
  enum class Kind { kWord, kName, kString, kNumber, kSymbol };
  Kind kind;
  std::string text;  // decoded for names and strings; the source's letters otherwise
  std::string word;  // of a word: its lower-case form
  size_t begin;
  size_t end;

  bool Is(std::string_view lower_word) const { return kind == Kind::kWord && word == lower_word; }
  bool IsSymbol(char c) const { return kind == Kind::kSymbol && text.size() == 1 && text[0] == c; }
};

// Cuts a statement into tokens; white space and comments fall away.
Result<std::vector<Token>> Tokenize(std::string_view statement, const LexRules& rules);

}  // namespace sluice::sql

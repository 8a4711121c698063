#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/names.h"
#include "base/result.h"
#include "odf/schema.h"

namespace sluice::odf {

// A type written as text: `Int64`, `Option<List<String>>`, `Decimal(10, 2)`, `Timestamp(Microsecond, UTC)`,
// `Map<String, Int64>`, `Binary(16)`. Names in any of the three spellings. `depth` is how deep the text
// already stands. Errors: kInvalidArgument naming the text.
Result<DataType> ParseTypeText(std::string_view text, int depth);

// RFC-013: a name in PascalCase is also read in camelCase and in lower case.
bool IsSpellingOf(std::string_view text, std::string_view name);

// Position of the name that `text` spells.
template <class Names>
std::optional<size_t> FindName(std::string_view text, const Names& names) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (IsSpellingOf(text, names[i])) return i;
  }
  return std::nullopt;
}

// `unknown <what> 'text': did you mean X? One of: A, B`.
template <class Names>
std::string UnknownName(std::string_view what, std::string_view text, const Names& names) {
  const std::vector<std::string> choices(names.begin(), names.end());
  const auto near = NearNames(text, choices, 1);
  return fmt::format("unknown {} '{}'{}; one of: {}", what, text,
                     near.empty() ? std::string() : fmt::format(", did you mean '{}'", near[0]),
                     JoinNames(choices));
}

// The whole of `text` as a decimal number.
template <class T>
std::optional<T> ParseNumber(std::string_view text);

}  // namespace sluice::odf

#pragma once

#include <string>
#include <string_view>

// DuckDB compares identifiers without regard to case; ours keep it. Every identifier of a statement and every
// column of a table therefore goes into the engine in a form in which names that differ only in case differ
// in letters too, and comes back out of it.
namespace sluice::sql {

// `name` itself when it has no upper-case ASCII letter; else `name`, U+E000, and a hexadecimal bitmap of
// their positions.
std::string EncodeName(std::string_view name);
// The inverse; also takes the prefix of our own macros off.
std::string DecodeName(std::string_view name);
// Decodes every encoded name inside a message of the engine.
std::string DecodeMessage(std::string_view message);

// `name` as a quoted identifier, or as a quoted string.
std::string QuoteName(std::string_view name);
std::string QuoteText(std::string_view text);

// Macros of dialects live under names that no manifest can mean by accident.
inline constexpr std::string_view kMacroPrefix = "__sl_";

}  // namespace sluice::sql

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::storage {

// Beginning of a temporary file's base name; 16 letters and digits follow.
inline constexpr std::string_view kPendingPrefix = ".pending-";

// A name is relative, its parts separated by single `/`, none of them `.`, `..`, empty or a temporary name.
// Errors: kInvalidArgument quoting the name.
Status CheckName(std::string_view name);
// The same for a folder; the empty text is the storage's own folder.
Status CheckFolder(std::string_view folder);

// `data` of `data/x`, empty for `x`.
std::string_view FolderOf(std::string_view name);
// `x` of `data/x`.
std::string_view BaseOf(std::string_view name);
bool IsPendingName(std::string_view base_name);
// A new temporary name in `folder`.
std::string NewPendingName(std::string_view folder);

// kConflict of a compare-and-swap, naming both contents.
Error ConflictOf(std::string_view name, const std::optional<std::string>& expected,
                 const std::optional<std::string>& found);

}  // namespace sluice::storage

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sluice::fetch {

// Paths of regular files that a glob names: `*`, `?`, `[...]` within a name, `**` for any folders. Relative
// ones start from `base_folder`. In no particular order. A folder that is not there has no files. Errors:
// what reading a folder brings.
Result<std::vector<std::string>> ListGlob(const std::string& pattern, const std::string& base_folder);

// Order of names as people count: `data-9` before `data-10`; else by bytes. Negative, 0 (same name),
// positive.
int CompareNaturally(std::string_view a, std::string_view b);

}  // namespace sluice::fetch

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sluice {

// The candidates nearest to `word` by edit distance, best first, at most `limit`; for "did you mean" in
// errors.
std::vector<std::string> NearNames(std::string_view word, const std::vector<std::string>& candidates,
                                   size_t limit = 3);

// `a, b, c`.
std::string JoinNames(const std::vector<std::string>& names, std::string_view separator = ", ");

}  // namespace sluice

#pragma once

#include <cstddef>
#include <string>
#include <string_view>

// What a terminal makes of text.
namespace sluice::columnar {

// Columns that `text` takes: 2 for East Asian wide characters and emoji, 0 for combining marks, 1 for other
// characters and for each byte that is not UTF-8.
size_t DisplayWidth(std::string_view text);

// `text` fit for one cell: line ends, tabs and control characters (which would move the cursor or colour the
// terminal) escaped, shortened to `max_width` columns with a final `…` when longer; 0 = unlimited.
std::string DisplayCell(std::string_view text, size_t max_width);

}  // namespace sluice::columnar

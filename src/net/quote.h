#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sluice::net {

// What somebody else wrote as one line for a message: blanks, line ends and control characters, which a
// terminal would obey, become single blanks; at most `most_bytes` of it, cut between characters.
std::string OneLine(std::string_view text, size_t most_bytes);

// What a page of HTML or XML says, without its tags, comments, scripts and styles; other text as it is.
std::string TextOfMarkup(std::string_view page);

}  // namespace sluice::net

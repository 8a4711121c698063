#pragma once

#include <string_view>

namespace sluice::odf {

// Strict UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
bool IsUtf8(std::string_view text);

// Length of the valid sequence at the front of `text` and its code point; 0 when there is none.
size_t DecodeUtf8(std::string_view text, char32_t* code_point);

}  // namespace sluice::odf

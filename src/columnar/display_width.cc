#include "columnar/display_width_internal.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace sluice::columnar {
namespace {

struct Range {
  char32_t first, last;
};

// Unicode East Asian Width W and F, and emoji shown wide; the blocks, not every unassigned hole in them.
constexpr Range kWide[] = {
    {0x1100, 0x115F},   {0x231A, 0x231B},   {0x23E9, 0x23EC},   {0x2614, 0x2615},   {0x2648, 0x2653},
    {0x26A1, 0x26A1},   {0x26BD, 0x26BE},   {0x26C4, 0x26C5},   {0x2705, 0x2705},   {0x270A, 0x270B},
    {0x2728, 0x2728},   {0x274C, 0x274C},   {0x2753, 0x2755},   {0x2795, 0x2797},   {0x2B1B, 0x2B1C},
    {0x2B50, 0x2B50},   {0x2E80, 0x303E},   {0x3041, 0x33FF},   {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},
    {0xA000, 0xA4CF},   {0xA960, 0xA97C},   {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},
    {0xFF01, 0xFF60},   {0xFFE0, 0xFFE6},   {0x16FE0, 0x18CFF}, {0x1AFF0, 0x1B2FF}, {0x1F18E, 0x1F19A},
    {0x1F200, 0x1F320}, {0x1F32D, 0x1F335}, {0x1F337, 0x1F37C}, {0x1F37E, 0x1F393}, {0x1F3A0, 0x1F3CA},
    {0x1F3E0, 0x1F3F0}, {0x1F3F8, 0x1F43E}, {0x1F440, 0x1F440}, {0x1F442, 0x1F4FC}, {0x1F4FF, 0x1F53D},
    {0x1F54B, 0x1F567}, {0x1F5FB, 0x1F64F}, {0x1F680, 0x1F6C5}, {0x1F6D0, 0x1F6D7}, {0x1F6EB, 0x1F6FC},
    {0x1F7E0, 0x1F7EB}, {0x1F90C, 0x1F9FF}, {0x1FA70, 0x1FAFF}, {0x20000, 0x3FFFD}};

// Combining marks of the common scripts, joiners and variation selectors.
constexpr Range kZero[] = {{0x0300, 0x036F}, {0x0483, 0x0489},   {0x0591, 0x05BD},  {0x0610, 0x061A},
                           {0x064B, 0x065F}, {0x0670, 0x0670},   {0x06D6, 0x06DC},  {0x0900, 0x0902},
                           {0x093C, 0x093C}, {0x0941, 0x0948},   {0x094D, 0x094D},  {0x0E31, 0x0E31},
                           {0x0E34, 0x0E3A}, {0x0E47, 0x0E4E},   {0x1AB0, 0x1AFF},  {0x1DC0, 0x1DFF},
                           {0x200B, 0x200F}, {0x202A, 0x202E},   {0x2060, 0x2064},  {0x20D0, 0x20F0},
                           {0x302A, 0x302D}, {0x3099, 0x309A},   {0xFE00, 0xFE0F},  {0xFE20, 0xFE2F},
                           {0xFEFF, 0xFEFF}, {0x1F3FB, 0x1F3FF}, {0xE0100, 0xE01EF}};

template <size_t N>
bool Contains(const Range (&ranges)[N], char32_t c) {
  const Range* range = std::lower_bound(std::begin(ranges), std::end(ranges), c,
                                        [](const Range& r, char32_t x) { return r.last < x; });
  return range != std::end(ranges) && range->first <= c;
}

struct Character {
  size_t bytes;
  char32_t code;  // of a byte that is not UTF-8: U+FFFD
  bool valid;
};

Character Decode(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {1, lead, true};
  const size_t length = lead >= 0xF0 && lead < 0xF8 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0;
  if (length == 0 || lead >= 0xF8 || length > text.size()) return {1, 0xFFFD, false};
  char32_t code = lead & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xC0) != 0x80) return {1, 0xFFFD, false};
    code = code << 6 | (byte & 0x3F);
  }
  return {length, code, true};
}

size_t WidthOf(char32_t c) {
  if (c < 0x300) return 1;
  if (Contains(kZero, c)) return 0;
  return Contains(kWide, c) ? 2 : 1;
}

// Directional overrides and isolates reorder what follows them.
bool IsControl(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

std::string Escaped(char32_t c) {
  switch (c) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      return c < 0x100 ? fmt::format("\\x{:02x}", static_cast<uint32_t>(c))
                       : fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
  }
}

}  // namespace

size_t DisplayWidth(std::string_view text) {
  size_t width = 0;
  for (size_t i = 0; i < text.size();) {
    const Character c = Decode(text.substr(i));
    width += WidthOf(c.code);
    i += c.bytes;
  }
  return width;
}

std::string DisplayCell(std::string_view text, size_t max_width) {
  std::string cell;
  size_t width = 0;
  size_t fitting_bytes = 0;  // of the longest prefix that leaves a column for `…`
  for (size_t i = 0; i < text.size();) {
    const Character c = Decode(text.substr(i));
    if (IsControl(c.code)) {
      const std::string escaped = Escaped(c.code);
      cell += escaped;
      width += escaped.size();
    } else {
      if (c.valid) {
        cell += text.substr(i, c.bytes);
      } else {
        cell += "\xEF\xBF\xBD";
      }
      width += WidthOf(c.code);
    }
    i += c.bytes;
    if (max_width == 0) continue;
    if (width > max_width) return cell.substr(0, fitting_bytes) + "…";
    if (width < max_width) fitting_bytes = cell.size();
  }
  return cell;
}

}  // namespace sluice::columnar

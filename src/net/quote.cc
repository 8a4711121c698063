#include "net/quote.h"

#include <algorithm>

namespace sluice::net {
namespace {

bool StartsWith(std::string_view text, std::string_view lower_case) {
  return text.size() >= lower_case.size() &&
         std::equal(lower_case.begin(), lower_case.end(), text.begin(),
                    [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b); });
}

// Behind the element that begins `text`, with all that is in it.
size_t EndOfElement(std::string_view text, std::string_view closing) {
  for (size_t at = text.find('<', 1); at != std::string_view::npos; at = text.find('<', at + 1)) {
    if (StartsWith(text.substr(at), closing)) return text.find('>', at);
  }
  return std::string_view::npos;
}

}  // namespace

std::string OneLine(std::string_view text, size_t most_bytes) {
  std::string line;
  for (size_t at = 0; at < text.size() && line.size() <= most_bytes; ++at) {
    const auto c = static_cast<unsigned char>(text[at]);
    // U+0080 to U+009F are control characters, too.
    const bool c1 = c == 0xc2 && at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) < 0xa0;
    if (c1) ++at;
    if (c > ' ' && c != 0x7f && !c1) {
      line += text[at];
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  if (line.size() > most_bytes) {
    size_t end = most_bytes;
    while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xc0) == 0x80) --end;
    line.resize(end);
  }
  while (line.ends_with(' ')) line.pop_back();
  return line;
}

std::string TextOfMarkup(std::string_view page) {
  const size_t first = page.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || page[first] != '<') return std::string(page);
  std::string text;
  while (!page.empty()) {
    const size_t open = page.find('<');
    text += page.substr(0, open);
    if (open == std::string_view::npos) break;
    page.remove_prefix(open);
    size_t end = page.find('>');
    if (page.starts_with("<!--")) {
      end = page.find("-->");
      if (end != std::string_view::npos) end += 2;
    }
    if (StartsWith(page, "<script")) end = EndOfElement(page, "</script");
    if (StartsWith(page, "<style")) end = EndOfElement(page, "</style");
    if (end == std::string_view::npos) break;
    text += ' ';
    page.remove_prefix(end + 1);
  }
  return text;
}

}  // namespace sluice::net

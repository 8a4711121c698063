#include <algorithm>
#include <array>

#include "odf/text_internal.h"
#include "odf/yaml_tree_internal.h"

namespace sluice::odf {
namespace {

bool IsPrintable(char32_t c) {
  if (c < 0x20) return c == '\n' || c == '\t';
  return !(c >= 0x7f && c < 0xa0) && c != 0x2028 && c != 0x2029 && c != 0xfeff && c != 0xfffe && c != 0xffff;
}

bool AllPrintable(std::string_view text) {
  char32_t c;
  while (!text.empty()) {
    const size_t length = DecodeUtf8(text, &c);
    if (length == 0 || !IsPrintable(c)) return false;
    text.remove_prefix(length);
  }
  return true;
}

// Words that other parsers of YAML take for booleans.
bool IsOldBoolean(std::string_view text) {
  static constexpr std::array<std::string_view, 6> kWords = {"y", "n", "yes", "no", "on", "off"};
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return std::find(kWords.begin(), kWords.end(), lower) != kWords.end();
}

// True when `text`, one printable line, means itself without quotes.
bool IsSafePlain(std::string_view text) {
  if (text.empty() || KindOfScalar(text) != ScalarKind::kString || IsOldBoolean(text)) return false;
  if (std::string_view("-?:,[]{}#&*!|>'\"%@` =~").find(text.front()) != std::string_view::npos) return false;
  if (text.substr(0, 2) == "<<" || text.back() == ' ' || text.back() == ':') return false;
  // `.inf`, `...`; hexadecimal, sexagesimal and grouped numbers of older parsers.
  if (text.front() == '.' && text.size() > 1 && text[1] != '/') return false;
  if (text.front() >= '0' && text.front() <= '9' &&
      text.find_first_not_of("0123456789abcdefABCDEFxXoO_:.") == std::string_view::npos) {
    return false;
  }
  return text.find(": ") == std::string_view::npos && text.find(" #") == std::string_view::npos &&
         text.find('\t') == std::string_view::npos;
}

std::string DoubleQuoted(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    char32_t c = 0;
    const size_t length = DecodeUtf8(text, &c);
    if (length == 0) {  // not UTF-8: only a caller's own value can be; shown, not lost silently
      out += fmt::format("\\x{:02x}", static_cast<uint8_t>(text.front()));
    } else if (c == '"' || c == '\\') {
      out += fmt::format("\\{}", static_cast<char>(c));
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (IsPrintable(c)) {
      out += text.substr(0, length);
    } else {
      out += c < 0x80 ? fmt::format("\\x{:02x}", static_cast<uint32_t>(c))
                      : fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out + "\"";
}

std::string SingleQuoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    out += c;
    if (c == '\'') out += c;
  }
  return out + "'";
}

std::string OneLine(std::string_view text) {
  if (!AllPrintable(text) || text.find_first_of("\n\t") != std::string_view::npos) return DoubleQuoted(text);
  return IsSafePlain(text) ? std::string(text) : SingleQuoted(text);
}

// Lines that a literal block gives back exactly: the first one tells the indentation, so it must not start
// with space; a line of nothing but space is too easily lost.
bool IsLiteral(std::string_view text) {
  if (text.find('\n') == std::string_view::npos || !AllPrintable(text)) return false;
  if (std::string_view(" \t\n").find(text.front()) != std::string_view::npos) return false;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (!line.empty() && line.find_first_not_of(" \t") == std::string_view::npos) return false;
    if (!line.empty() && line.front() == '\t') return false;
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return true;
}

class Emitter {
 public:
  std::string Take() { return std::move(out_); }

  // The items of a collection, each on a line of its own at `indent`; the first continues the line when
  // `joined`.
  void Block(const YamlNode& node, size_t indent, bool joined) {
    for (size_t i = 0; i < node.items.size(); ++i) {
      if (!joined || i > 0) out_.append(indent, ' ');
      if (node.is_mapping()) {
        out_ += OneLine(node.keys[i]) + ":";
        After(node.items[i], indent);
      } else {
        out_ += "-";
        Item(node.items[i], indent);
      }
    }
  }

  void Scalar(const YamlNode& node, size_t indent) {
    if (node.is_null()) {
      out_ += "null\n";
    } else if (node.plain) {
      out_ += node.text + "\n";
    } else if (IsLiteral(node.text)) {
      Literal(node.text, indent + 2);
    } else {
      out_ += OneLine(node.text) + "\n";
    }
  }

 private:
  static bool IsEmpty(const YamlNode& node) {
    return node.items.empty() && (node.is_mapping() || node.is_sequence());
  }

  // A value after `key:`.
  void After(const YamlNode& node, size_t indent) {
    if (IsEmpty(node)) {
      out_ += node.is_mapping() ? " {}\n" : " []\n";
    } else if (node.is_mapping() || node.is_sequence()) {
      out_ += "\n";
      Block(node, node.is_mapping() ? indent + 2 : indent, false);
    } else {
      out_ += " ";
      Scalar(node, indent);
    }
  }

  // A value after `-`.
  void Item(const YamlNode& node, size_t indent) {
    if (IsEmpty(node)) {
      out_ += node.is_mapping() ? " {}\n" : " []\n";
    } else if (node.is_mapping() || node.is_sequence()) {
      out_ += " ";
      Block(node, indent + 2, true);
    } else {
      out_ += " ";
      Scalar(node, indent);
    }
  }

  void Literal(std::string_view text, size_t indent) {
    const size_t last = text.find_last_not_of('\n');
    const size_t newlines = text.size() - 1 - last;
    out_ += newlines == 0 ? "|-\n" : newlines == 1 ? "|\n" : "|+\n";
    while (!text.empty()) {
      const std::string_view line = text.substr(0, text.find('\n'));
      if (!line.empty()) out_.append(indent, ' ').append(line);
      out_ += "\n";
      text.remove_prefix(std::min(text.size(), line.size() + 1));
    }
  }

  std::string out_;
};

}  // namespace

std::string EmitYaml(const YamlNode& node) {
  Emitter emitter;
  if (node.is_mapping() || node.is_sequence()) {
    if (node.items.empty()) return node.is_mapping() ? "{}\n" : "[]\n";
    emitter.Block(node, 0, false);
  } else {
    emitter.Scalar(node, 0);
  }
  return emitter.Take();
}

}  // namespace sluice::odf

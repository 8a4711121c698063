#include <fmt/format.h>

#include <vector>

#include "pipeline/json_scan.h"

namespace sluice::pipeline {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

size_t FindStringEnd(std::string_view text, size_t at) {
  for (++at; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == '"') {
      return at + 1;
    }
  }
  return std::string_view::npos;
}

// Checks one value by its grammar, without recursion.
class Checker {
 public:
  Checker(std::string_view text, uint32_t max_depth) : text_(text), max_depth_(max_depth) {}

  bool Run(std::string* why) {
    if (Value() && (at_ = SkipSpace(text_, at_)) != text_.size()) Fail("something behind the value");
    if (why_.empty()) return true;
    *why = fmt::format("{} at byte {}", why_, at_);
    return false;
  }

 private:
  bool Fail(std::string_view what) {
    if (why_.empty()) why_ = what;
    return false;
  }
  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  bool String() {
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        return true;
      }
      if (static_cast<unsigned char>(c) < 0x20) return Fail("a control character in a string");
      if (c != '\\') continue;
      ++at_;
      if (Peek() == 'u') {
        for (int i = 0; i < 4; ++i) {
          ++at_;
          if (std::string_view("0123456789abcdefABCDEF").find(Peek()) == std::string_view::npos)
            return Fail("a bad \\u escape");
        }
      } else if (std::string_view("\"\\/bfnrt").find(Peek()) == std::string_view::npos) {
        return Fail("a bad escape");
      }
    }
    return Fail("a string that does not end");
  }

  bool Digits() {
    if (!IsDigit(Peek())) return Fail("a bad number");
    while (IsDigit(Peek())) ++at_;
    return true;
  }

  bool Number() {
    if (Peek() == '-') ++at_;
    if (Peek() == '0') {
      ++at_;
    } else if (!Digits()) {
      return false;
    }
    if (Peek() == '.') {
      ++at_;
      if (!Digits()) return false;
    }
    if (Peek() == 'e' || Peek() == 'E') {
      ++at_;
      if (Peek() == '+' || Peek() == '-') ++at_;
      return Digits();
    }
    return true;
  }

  bool Scalar() {
    if (Peek() == '"') return String();
    if (Peek() == '-' || IsDigit(Peek())) return Number();
    for (const std::string_view word : {"true", "false", "null"}) {
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return true;
      }
    }
    return Fail(at_ < text_.size() ? "no value" : "an end too early");
  }

  // Behind `{` or `,` of an object: the key and its colon.
  bool Key() {
    at_ = SkipSpace(text_, at_);
    if (Peek() != '"') return Fail("no key");
    if (!String()) return false;
    at_ = SkipSpace(text_, at_);
    if (Peek() != ':') return Fail("no colon");
    ++at_;
    return true;
  }

  // Enters containers, leaves those that end; a value is complete when none is open.
  bool Value() {
    while (true) {
      at_ = SkipSpace(text_, at_);
      const char c = Peek();
      if (c == '{' || c == '[') {
        if (open_.size() >= max_depth_) return Fail(fmt::format("nesting deeper than {} levels", max_depth_));
        ++at_;
        at_ = SkipSpace(text_, at_);
        if (Peek() != (c == '{' ? '}' : ']')) {
          open_.push_back(c);
          if (c == '{' && !Key()) return false;
          continue;
        }
        ++at_;
      } else if (!Scalar()) {
        return false;
      }
      bool is_next = false;
      while (!open_.empty() && !is_next) {
        at_ = SkipSpace(text_, at_);
        const char close = open_.back() == '{' ? '}' : ']';
        if (Peek() == ',') {
          ++at_;
          if (open_.back() == '{' && !Key()) return false;
          is_next = true;
        } else if (Peek() == close) {
          ++at_;
          open_.pop_back();
        } else {
          return Fail(at_ < text_.size() ? "no comma" : "an end too early");
        }
      }
      if (!is_next) return true;
    }
  }

  const std::string_view text_;
  const uint32_t max_depth_;
  size_t at_ = 0;
  std::vector<char> open_;
  std::string why_;
};

}  // namespace

size_t SkipSpace(std::string_view text, size_t at) {
  while (at < text.size() && IsSpace(text[at])) ++at;
  return at;
}

size_t FindValueEnd(std::string_view text, size_t at) {
  if (at >= text.size()) return std::string_view::npos;
  if (text[at] == '"') return FindStringEnd(text, at);
  if (text[at] != '{' && text[at] != '[') {
    while (at < text.size() && !IsSpace(text[at]) && text[at] != ',' && text[at] != ']' && text[at] != '}')
      ++at;
    return at;
  }
  size_t depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      at = FindStringEnd(text, at);
      if (at == std::string_view::npos) return at;
      continue;
    }
    ++at;
    if (c == '{' || c == '[') ++depth;
    if ((c == '}' || c == ']') && --depth == 0) return at;
  }
  return std::string_view::npos;
}

bool IsJson(std::string_view text, uint32_t max_depth, std::string* why) {
  return Checker(text, max_depth).Run(why);
}

void AppendJsonText(std::string_view text, std::string* out) {
  *out += '"';
  size_t plain = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out->append(text, plain, i - plain);
    plain = i + 1;
    switch (c) {
      case '"':
        *out += "\\\"";
        break;
      case '\\':
        *out += "\\\\";
        break;
      case '\n':
        *out += "\\n";
        break;
      case '\r':
        *out += "\\r";
        break;
      case '\t':
        *out += "\\t";
        break;
      default:
        *out += fmt::format("\\u{:04x}", c);
    }
  }
  out->append(text, plain);
  *out += '"';
}

}  // namespace sluice::pipeline

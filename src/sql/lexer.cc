#include "sql/lexer.h"

#include <cctype>

#include "sql/engine_error.h"

namespace sluice::sql {
namespace {

bool IsWordStart(char c) {
  auto u = static_cast<unsigned char>(c);
  return std::isalpha(u) != 0 || c == '_' || u >= 0x80;
}
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsWordPart(char c) { return IsWordStart(c) || IsDigit(c) || c == '$'; }

class Lexer {
 public:
  Lexer(std::string_view text, const LexRules& rules) : text_(text), rules_(rules) {}

  Result<std::vector<Token>> Run() {
    while (true) {
      RETURN_IF_ERROR(SkipBlank());
      if (at_ >= text_.size()) return std::move(tokens_);
      RETURN_IF_ERROR(One());
    }
  }

 private:
  char Peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  Error Unterminated(std::string_view what, size_t begin) const {
    return InvalidArgument("unterminated {}{}", what, DescribePosition(text_, begin));
  }

  Status SkipBlank() {
    while (at_ < text_.size()) {
      if (std::isspace(static_cast<unsigned char>(text_[at_])) != 0) {
        ++at_;
      } else if (Peek() == '-' && Peek(1) == '-') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (Peek() == '/' && Peek(1) == '*') {
        size_t begin = at_;
        int depth = 0;
        do {
          if (at_ >= text_.size()) return Unterminated("comment", begin);
          if (Peek() == '/' && Peek(1) == '*') {
            ++depth;
            at_ += 2;
          } else if (Peek() == '*' && Peek(1) == '/') {
            --depth;
            at_ += 2;
          } else {
            ++at_;
          }
        } while (depth > 0);
      } else {
        break;
      }
    }
    return {};
  }

  Status One() {
    char c = Peek();
    if (c == '\0') return InvalidArgument("a zero byte in the statement{}", DescribePosition(text_, at_));
    if (c == '\'') return Quoted('\'', Token::Kind::kString, "string", rules_.double_quoted_strings);
    if (c == '"' && rules_.double_quoted_strings) return Quoted('"', Token::Kind::kString, "string", true);
    if (c == '"') return Quoted('"', Token::Kind::kName, "quoted name", false);
    if (c == '`' && rules_.backtick_names) return Quoted('`', Token::Kind::kName, "quoted name", false);
    if ((c == 'e' || c == 'E') && Peek(1) == '\'') {
      ++at_;
      return Quoted('\'', Token::Kind::kString, "string", true);
    }
    size_t begin = at_;
    if (IsWordStart(c)) {
      while (at_ < text_.size() && IsWordPart(text_[at_])) ++at_;
      Push(Token::Kind::kWord, begin, std::string(text_.substr(begin, at_ - begin)));
      for (char letter : tokens_.back().text) {
        tokens_.back().word += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
      }
    } else if (IsDigit(c) || (c == '.' && IsDigit(Peek(1)))) {
      Number();
      Push(Token::Kind::kNumber, begin, std::string(text_.substr(begin, at_ - begin)));
    } else {
      ++at_;
      Push(Token::Kind::kSymbol, begin, std::string(1, c));
    }
    return {};
  }

  void Number() {
    while (IsDigit(Peek()) || Peek() == '_') ++at_;
    if (Peek() == '.' && Peek(1) != '.') {
      ++at_;
      while (IsDigit(Peek())) ++at_;
    }
    if (Peek() == 'e' || Peek() == 'E') {
      size_t sign = Peek(1) == '+' || Peek(1) == '-' ? 1 : 0;
      if (!IsDigit(Peek(1 + sign))) return;
      at_ += 1 + sign;
      while (IsDigit(Peek())) ++at_;
    }
  }

  Status Quoted(char quote, Token::Kind kind, std::string_view what, bool escapes) {
    size_t begin = at_++;
    std::string value;
    while (true) {
      if (at_ >= text_.size()) return Unterminated(what, begin);
      char c = text_[at_++];
      if (c == quote) {
        if (Peek() != quote) break;
        ++at_;
      } else if (c == '\\' && escapes && at_ < text_.size()) {
        c = Unescape(text_[at_++]);
      } else if (c == '\0') {
        return InvalidArgument("a zero byte in the statement{}", DescribePosition(text_, at_ - 1));
      }
      value += c;
    }
    if (kind == Token::Kind::kName && value.empty()) {
      return InvalidArgument("an empty quoted name{}", DescribePosition(text_, begin));
    }
    Push(kind, begin, std::move(value));
    return {};
  }

  static char Unescape(char c) {
    switch (c) {
      case 'n':
        return '\n';
      case 't':
        return '\t';
      case 'r':
        return '\r';
      default:
        return c;
    }
  }

  void Push(Token::Kind kind, size_t begin, std::string value) {
    tokens_.push_back({kind, std::move(value), {}, begin, at_});
  }

  std::string_view text_;
  const LexRules& rules_;
  size_t at_ = 0;
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> Tokenize(std::string_view statement, const LexRules& rules) {
  return Lexer(statement, rules).Run();
}

}  // namespace sluice::sql

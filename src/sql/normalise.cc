#include "sql/normalise.h"

#include <algorithm>
#include <array>

#include "sql/lexer.h"
#include "sql/names.h"

namespace sluice::sql {
namespace {

constexpr size_t kMaxStatementBytes = size_t{1} << 20;

// Words that the engine reserves and that stand for values or start expressions: never names.
constexpr std::array<std::string_view, 27> kNeverNames = {
    "all",   "any",    "array",  "as",   "case",      "cast",  "distinct", "else", "except",
    "false", "from",   "having", "in",   "intersect", "into",  "not",      "null", "or",
    "and",   "select", "some",   "true", "union",     "where", "when",     "then", "lambda"};

// Words that the engine reserves but that are columns in practice, where the place allows nothing else.
constexpr std::array<std::string_view, 46> kReserved = {
    "analyse",    "analyze",   "asc",     "asymmetric", "both",      "check",    "collate", "column",
    "constraint", "create",    "default", "deferrable", "desc",      "describe", "do",      "end",
    "fetch",      "for",       "foreign", "group",      "initially", "lateral",  "leading", "limit",
    "offset",     "on",        "only",    "order",      "pivot",     "placing",  "primary", "qualify",
    "references", "returning", "show",    "summarize",  "symmetric", "table",    "to",      "trailing",
    "unique",     "unpivot",   "using",   "variadic",   "window",    "with"};

// Reserved as functions or join words only: they are columns when no parenthesis follows.
constexpr std::array<std::string_view, 18> kFunctionWords = {
    "anti",    "authorization", "binary", "collation", "concurrently", "freeze",
    "full",    "generated",     "glob",   "inner",     "left",         "map",
    "natural", "outer",         "right",  "semi",      "struct",       "verbose"};

// After these words an expression begins.
constexpr std::array<std::string_view, 15> kBeforeExpression = {"select", "distinct", "by",   "and",  "or",
                                                                "not",    "when",     "then", "else", "where",
                                                                "having", "between",  "like", "in",   "case"};

// Before these words an expression has ended.
constexpr std::array<std::string_view, 20> kAfterExpression = {
    "as",   "from", "is",      "in",  "like", "ilike", "and",   "or",    "not",   "then",
    "else", "end",  "between", "asc", "desc", "nulls", "limit", "order", "group", "having"};
// What follows the list of a SELECT, where no FROM does.
constexpr std::array<std::string_view, 9> kAfterItems = {"where",   "group", "having", "order",    "limit",
                                                         "qualify", "union", "except", "intersect"};

template <size_t N>
bool Contains(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool IsReserved(std::string_view word) { return Contains(kReserved, word) || Contains(kFunctionWords, word); }

class Normaliser {
 public:
  Normaliser(std::string_view source, const LexRules& rules, std::vector<Token> tokens)
      : source_(source), rules_(rules), tokens_(std::move(tokens)) {}

  NormalText Run() {
    selects_.push_back(false);
    for (at_ = 0; at_ < tokens_.size(); ++at_) {
      const Token& token = tokens_[at_];
      if (token.IsSymbol('(') || token.IsSymbol('[')) selects_.push_back(false);
      if ((token.IsSymbol(')') || token.IsSymbol(']')) && selects_.size() > 1) selects_.pop_back();
      if (token.Is("select")) selects_.back() = true;
      Emit(token);
    }
    out_.items = Items();
    return std::move(out_);
  }

 private:
  const Token* Previous(size_t back = 1) const { return at_ >= back ? &tokens_[at_ - back] : nullptr; }
  const Token* Next() const { return at_ + 1 < tokens_.size() ? &tokens_[at_ + 1] : nullptr; }

  void Emit(const Token& token) {
    bool touches = at_ > 0 && tokens_[at_ - 1].end == token.begin;
    if (!touches && at_ > 0) out_.text += ' ';
    out_.offsets.emplace_back(out_.text.size(), token.begin);
    switch (token.kind) {
      case Token::Kind::kName:
        out_.text += QuoteName(token.text);
        return;
      case Token::Kind::kString:
        out_.text += IsTableName() ? QuoteName(token.text) : QuoteText(token.text);
        return;
      case Token::Kind::kWord:
        EmitWord(token);
        return;
      default:
        out_.text += token.text;
    }
  }

  void EmitWord(const Token& token) {
    if (IsName(token)) {
      out_.text += QuoteName(token.text);
      return;
    }
    const Token* next = Next();
    bool plain_type = Previous() != nullptr && (Previous()->Is("as") || Previous()->IsSymbol(':'));
    if (plain_type && (token.Is("decimal") || token.Is("numeric")) && !rules_.bare_decimal.empty() &&
        (next == nullptr || !next->IsSymbol('('))) {
      out_.text += rules_.bare_decimal;
      return;
    }
    if (token.Is("unsigned") && Previous() != nullptr && Previous()->kind == Token::Kind::kWord) {
      // `BIGINT UNSIGNED` is the engine's UBIGINT.
      const std::string& base = Previous()->word;
      if (base == "tinyint" || base == "smallint" || base == "int" || base == "integer" || base == "bigint") {
        size_t start = out_.offsets[out_.offsets.size() - 2].first;
        out_.text.resize(start);
        out_.text += base == "int" || base == "integer" ? "uinteger" : "u" + base;
        out_.offsets.back().first = start;
        return;
      }
    }
    out_.text += token.text;
  }

  // FROM and JOIN are followed by a table only in a query, not in `trim(both from 'x')` or `is distinct from
  // 'x'`.
  bool IsTableName() const {
    const Token* previous = Previous();
    if (previous == nullptr) return false;
    if (previous->Is("join")) return true;
    if (!previous->Is("from")) return false;
    const Token* before = Previous(2);
    if (before != nullptr && before->Is("distinct") && Previous(3) != nullptr &&
        (Previous(3)->Is("is") || Previous(3)->Is("not"))) {
      return false;
    }
    return selects_.back() || selects_.size() == 1 || (before != nullptr && before->IsSymbol('('));
  }

  bool IsName(const Token& token) const {
    const Token* previous = Previous();
    const Token* next = Next();
    if (previous != nullptr && previous->IsSymbol('.') && previous->end == token.begin) return true;
    bool closes = next == nullptr ||
                  (next->kind == Token::Kind::kSymbol && !next->IsSymbol('(') && !next->IsSymbol('[')) ||
                  (next->kind == Token::Kind::kWord && Contains(kAfterExpression, next->word));
    if (previous != nullptr && previous->Is("as")) {
      // An alias; the types of casts are not reserved.
      return IsReserved(token.word) || (closes && Contains(kNeverNames, token.word));
    }
    if (!IsReserved(token.word)) return false;
    bool opens = previous == nullptr ||
                 (previous->kind == Token::Kind::kWord && Contains(kBeforeExpression, previous->word)) ||
                 (previous->kind == Token::Kind::kSymbol && !previous->IsSymbol(')') &&
                  !previous->IsSymbol(']') && !previous->IsSymbol('*') && !previous->IsSymbol('.'));
    if (previous != nullptr && previous->IsSymbol('*') && Previous(2) != nullptr &&
        !Previous(2)->Is("select") && !Previous(2)->IsSymbol(',') && !Previous(2)->IsSymbol('(')) {
      opens = true;  // a product
    }
    bool qualifies = next != nullptr && next->IsSymbol('.');
    return opens && (closes || qualifies) && previous != nullptr;
  }

  // Whether the list of what is selected, whose item begins at `begin`, is over with the token at `i`.
  bool EndsItems(size_t i, size_t begin) const {
    const Token& token = tokens_[i];
    const Token* previous = i > 0 ? &tokens_[i - 1] : nullptr;
    if (previous != nullptr && (previous->Is("as") || previous->IsSymbol('.'))) return false;
    if (token.Is("from")) return previous == nullptr || !previous->Is("distinct");
    // Without a FROM. Such a word may also be a column's name: then an operator stands before it, or nothing.
    if (token.kind != Token::Kind::kWord || !Contains(kAfterItems, token.word) || i == begin) return false;
    return previous->kind != Token::Kind::kSymbol || previous->IsSymbol(')') || previous->IsSymbol(']') ||
           previous->IsSymbol('}');
  }

  std::vector<std::string> Items() const {
    std::vector<std::string> items;
    if (tokens_.empty() || !tokens_[0].Is("select")) return items;
    size_t begin = tokens_.size() > 1 && (tokens_[1].Is("distinct") || tokens_[1].Is("all")) ? 2 : 1;
    int depth = 0;
    for (size_t i = begin; i <= tokens_.size(); ++i) {
      bool last = i == tokens_.size();
      if (!last && (tokens_[i].IsSymbol('(') || tokens_[i].IsSymbol('[') || tokens_[i].IsSymbol('{')))
        ++depth;
      if (!last && (tokens_[i].IsSymbol(')') || tokens_[i].IsSymbol(']') || tokens_[i].IsSymbol('}')))
        --depth;
      const bool ends = !last && depth == 0 && EndsItems(i, begin);
      if (last || ends || (depth == 0 && tokens_[i].IsSymbol(','))) {
        if (i > begin) {
          items.emplace_back(source_.substr(tokens_[begin].begin, tokens_[i - 1].end - tokens_[begin].begin));
        }
        begin = i + 1;
        if (ends) break;
      }
    }
    return items;
  }

  std::string_view source_;
  const LexRules& rules_;
  std::vector<Token> tokens_;
  std::vector<bool> selects_;  // per open parenthesis: a SELECT was seen in it
  size_t at_ = 0;
  NormalText out_;
};

}  // namespace

size_t NormalText::ToSource(size_t offset) const {
  auto after =
      std::upper_bound(offsets.begin(), offsets.end(), std::make_pair(offset, static_cast<size_t>(-1)));
  return after == offsets.begin() ? 0 : std::prev(after)->second;
}

Result<NormalText> Normalise(std::string_view statement, const LexRules& rules) {
  if (statement.size() > kMaxStatementBytes) {
    return InvalidArgument("the statement has {} bytes; the limit is {}", statement.size(),
                           kMaxStatementBytes);
  }
  ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(statement, rules));
  while (!tokens.empty() && tokens.back().IsSymbol(';')) tokens.pop_back();
  if (tokens.empty()) return InvalidArgument("the statement is empty");
  return Normaliser(statement, rules, std::move(tokens)).Run();
}

}  // namespace sluice::sql

#include "pipeline/condition.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/instant.h"
#include "base/names.h"
#include "pipeline/field_path.h"
#include "pipeline/settings.h"

namespace sluice::pipeline {
namespace {

constexpr int kMaxDepth = 32;

enum class Test : uint8_t {
  kEquals,
  kIn,
  kContains,
  kStartsWith,
  kEndsWith,
  kMatches,
  kExists,
  kBefore,
  kAfter
};

struct TestName {
  std::string_view name;
  Test test;
  bool takes_list;
};
constexpr std::array<TestName, 9> kTests = {{{"equals", Test::kEquals, false},
                                             {"in", Test::kIn, true},
                                             {"contains", Test::kContains, true},
                                             {"starts_with", Test::kStartsWith, true},
                                             {"ends_with", Test::kEndsWith, true},
                                             {"matches", Test::kMatches, false},
                                             {"exists", Test::kExists, false},
                                             {"before", Test::kBefore, false},
                                             {"after", Test::kAfter, false}}};

std::string TestNames() {
  std::vector<std::string> names;
  for (const TestName& test : kTests) names.emplace_back(test.name);
  return JoinNames(names);
}

re2::StringPiece Piece(std::string_view text) { return {text.data(), text.size()}; }

// Any of the texts, whatever the case of their letters (as Unicode folds them), at the place that `test`
// says.
Result<std::unique_ptr<RE2>> WithoutCase(const std::vector<std::string>& texts, Test test) {
  std::string pattern;
  for (const std::string& text : texts) {
    if (!pattern.empty()) pattern += '|';
    pattern += RE2::QuoteMeta(text);
  }
  pattern = fmt::format("{}(?:{}){}", test == Test::kStartsWith ? "\\A" : "", pattern,
                        test == Test::kEndsWith ? "\\z" : "");
  RE2::Options options;
  options.set_log_errors(false);
  options.set_case_sensitive(false);
  options.set_never_capture(true);
  options.set_max_mem(64 << 20);
  auto made = std::make_unique<RE2>(pattern, options);
  if (!made->ok()) return InvalidArgument("too many texts for 'ignore_case'");
  return made;
}

// `value` does not tell large integers apart.
struct Number {
  double value = 0;
  bool is_integer = false;
};

std::optional<Number> NumberOf(std::string_view text) {
  Number number;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number.value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  number.is_integer = text.find_first_of(".eE") == std::string_view::npos;
  return number;
}

// Of two integers the digits were compared.
bool SameValue(const Number& a, const Number& b) {
  return !(a.is_integer && b.is_integer) && a.value == b.value;
}

int64_t MicrosOf(Instant instant) { return instant.seconds * 1'000'000 + instant.nanoseconds / 1000; }

}  // namespace

struct Condition::Node {
  enum class Kind : uint8_t { kAll, kAny, kNot, kTest };
  Kind kind = Kind::kAll;
  std::vector<std::unique_ptr<Node>> parts;
  // Of kTest.
  FieldPath path;
  Test test = Test::kExists;
  std::vector<std::string> texts;
  std::vector<std::optional<Number>> numbers;  // of `texts`
  bool ignore_case = false;
  bool wanted = true;            // of exists
  int64_t micros = 0;            // of before and after
  std::unique_ptr<RE2> pattern;  // of matches, and of the texts when their case does not count
  mutable FieldReader reader;
  mutable std::vector<uint8_t> scratch;

  void Evaluate(const arrow::RecordBatch& records, std::vector<uint8_t>* holds) const {
    const auto rows = static_cast<size_t>(records.num_rows());
    switch (kind) {
      case Kind::kTest:
        holds->resize(rows);
        return EvaluateTest(records, holds->data());
      case Kind::kNot:
        parts[0]->Evaluate(records, holds);
        for (uint8_t& hold : *holds) hold ^= 1;
        return;
      case Kind::kAll:
      case Kind::kAny:
        holds->assign(rows, kind == Kind::kAll ? 1 : 0);
        for (const auto& part : parts) {
          part->Evaluate(records, &scratch);
          for (size_t row = 0; row < rows; ++row) {
            (*holds)[row] = static_cast<uint8_t>(kind == Kind::kAll ? (*holds)[row] & scratch[row]
                                                                    : (*holds)[row] | scratch[row]);
          }
        }
        return;
    }
  }

  void EvaluateTest(const arrow::RecordBatch& records, uint8_t* holds) const {
    const int64_t rows = records.num_rows();
    const arrow::Array& column = *records.column(static_cast<int>(path.column));
    const bool is_time = path.column == Column::kCreatedAt || path.column == Column::kUpdatedAt;
    if (test == Test::kBefore || test == Test::kAfter) {
      const auto& times = static_cast<const arrow::TimestampArray&>(column);
      for (int64_t row = 0; row < rows; ++row) {
        holds[row] = times.IsValid(row) &&
                     (test == Test::kBefore ? times.Value(row) < micros : times.Value(row) > micros);
      }
      return;
    }
    if (is_time || path.is_inside()) {
      for (int64_t row = 0; row < rows; ++row) holds[row] = Holds(reader.Read(records, row, path));
      return;
    }
    // A column of texts, and JSON as the text that it is.
    const auto& texts_column = static_cast<const arrow::StringArray&>(column);
    for (int64_t row = 0; row < rows; ++row) {
      const std::string_view text = texts_column.IsNull(row) ? std::string_view() : texts_column.GetView(row);
      holds[row] = text.empty() ? test == Test::kExists && !wanted : HoldsText(text, false);
    }
  }

  bool Holds(const FieldValue& value) const {
    // An empty text is no more there than that of a field of the record itself.
    const bool is_empty = value.kind == ValueKind::kText && value.text.empty();
    if (value.kind == ValueKind::kAbsent || is_empty) return test == Test::kExists && !wanted;
    if (test == Test::kContains && value.elements != nullptr) {
      return std::any_of(value.elements->begin(), value.elements->end(), [&](const std::string& element) {
        return ignore_case ? RE2::FullMatch(Piece(element), *pattern)
                           : std::find(texts.begin(), texts.end(), element) != texts.end();
      });
    }
    return HoldsText(value.text, value.kind == ValueKind::kNumber);
  }

  bool HoldsText(std::string_view text, bool is_number) const {
    const auto any = [&](const auto& holds) { return std::any_of(texts.begin(), texts.end(), holds); };
    switch (test) {
      case Test::kExists:
        return wanted;
      case Test::kEquals:
      case Test::kIn:
        return EqualsAny(text, is_number);
      case Test::kContains:
        if (ignore_case) return RE2::PartialMatch(Piece(text), *pattern);
        return any([&](std::string_view part) { return text.find(part) != std::string_view::npos; });
      case Test::kStartsWith:
        if (ignore_case) return RE2::PartialMatch(Piece(text), *pattern);
        return any([&](std::string_view part) { return text.starts_with(part); });
      case Test::kEndsWith:
        if (ignore_case) return RE2::PartialMatch(Piece(text), *pattern);
        return any([&](std::string_view part) { return text.ends_with(part); });
      case Test::kMatches:
        return RE2::PartialMatch(Piece(text), *pattern);
      case Test::kBefore:
      case Test::kAfter:
        break;
    }
    return false;
  }

  bool EqualsAny(std::string_view text, bool is_number) const {
    if (ignore_case && RE2::FullMatch(Piece(text), *pattern)) return true;
    const std::optional<Number> number = is_number ? NumberOf(text) : std::nullopt;
    for (size_t i = 0; i < texts.size(); ++i) {
      if (text == texts[i]) return true;
      if (number && numbers[i] && SameValue(*number, *numbers[i])) return true;
    }
    return false;
  }
};

Condition::Condition(std::unique_ptr<Node> node) : node_(std::move(node)) {}
Condition::Condition(Condition&&) noexcept = default;
Condition& Condition::operator=(Condition&&) noexcept = default;
Condition::~Condition() = default;

Result<Condition> Condition::Parse(const Tree& tree) {
  ASSIGN_OR_RETURN(auto node, ParseNode(tree, 0));
  return Condition(std::move(node));
}

void Condition::Evaluate(const arrow::RecordBatch& records, std::vector<uint8_t>* holds) const {
  node_->Evaluate(records, holds);
}

Result<std::vector<std::unique_ptr<Condition::Node>>> Condition::ParseList(const Tree& tree, int depth) {
  if (tree.kind != Tree::Kind::kList) return tree.Complain("a list of conditions is expected");
  if (tree.items.empty()) return tree.Complain("the list of conditions is empty");
  std::vector<std::unique_ptr<Node>> parts;
  for (const Tree& item : tree.items) {
    ASSIGN_OR_RETURN(auto part, ParseNode(item, depth + 1));
    parts.push_back(std::move(part));
  }
  return parts;
}

Result<std::unique_ptr<Condition::Node>> Condition::ParseNode(const Tree& tree, int depth) {
  if (depth > kMaxDepth) return tree.Complain(fmt::format("conditions are nested deeper than {}", kMaxDepth));
  auto node = std::make_unique<Node>();
  if (tree.kind == Tree::Kind::kList) {
    ASSIGN_OR_RETURN(node->parts, ParseList(tree, depth));
    return node;
  }
  if (tree.kind != Tree::Kind::kMap)
    return tree.Complain("a condition is expected, such as {field: data, contains: text}");
  if (tree.Find("field") != nullptr) return ParseTest(tree);
  if (tree.members.size() != 1)
    return tree.Complain("a condition has a 'field', or is one of 'all', 'any' and 'not'");
  const auto& [name, inner] = tree.members.front();
  if (name == "all" || name == "any") {
    node->kind = name == "all" ? Node::Kind::kAll : Node::Kind::kAny;
    ASSIGN_OR_RETURN(node->parts, ParseList(inner, depth));
    return node;
  }
  if (name == "not") {
    node->kind = Node::Kind::kNot;
    ASSIGN_OR_RETURN(auto part, ParseNode(inner, depth + 1));
    node->parts.push_back(std::move(part));
    return node;
  }
  return tree.Complain(
      fmt::format("'{}' is no condition; it has a 'field', or is 'all', 'any' or 'not'", name));
}

namespace {

Status ReadTexts(const Tree& value, const TestName& test, std::vector<std::string>* texts) {
  if (value.kind == Tree::Kind::kText) {
    if (test.test == Test::kIn) return value.Complain("'in' takes a list of texts");
    texts->push_back(value.text);
  } else if (value.kind == Tree::Kind::kList && test.takes_list) {
    for (const Tree& item : value.items) {
      if (item.kind != Tree::Kind::kText) return item.Complain(fmt::format("'{}' takes texts", test.name));
      texts->push_back(item.text);
    }
  } else {
    return value.Complain(
        fmt::format("'{}' takes {}", test.name, test.takes_list ? "a text or a list of texts" : "a text"));
  }
  if (texts->empty()) return value.Complain(fmt::format("the list of '{}' is empty", test.name));
  for (const std::string& text : *texts) {
    if (text.empty())
      return value.Complain(fmt::format("'{}' of an empty text; use 'exists: false'", test.name));
  }
  return {};
}

Result<bool> ReadBoolean(const Tree& value, std::string_view name) {
  if (value.kind == Tree::Kind::kText && (value.text == "true" || value.text == "false"))
    return value.text == "true";
  return value.Complain(fmt::format("'{}' is true or false", name));
}

}  // namespace

Result<std::unique_ptr<Condition::Node>> Condition::ParseTest(const Tree& tree) {
  auto node = std::make_unique<Node>();
  node->kind = Node::Kind::kTest;
  const Tree& field = *tree.Find("field");
  if (field.kind != Tree::Kind::kText) return field.Complain("'field' is the name of a field");
  auto path = FieldPath::Parse(field.text);
  if (!path.ok()) return field.Complain(path.error().message());
  node->path = std::move(path).value();

  const TestName* chosen = nullptr;
  for (const auto& [name, value] : tree.members) {
    if (name == "field") continue;
    if (name == "ignore_case") {
      ASSIGN_OR_RETURN(node->ignore_case, ReadBoolean(value, name));
      continue;
    }
    const auto test =
        std::find_if(kTests.begin(), kTests.end(), [&](const TestName& t) { return t.name == name; });
    if (test == kTests.end())
      return value.Complain(fmt::format("'{}' is no test; there are {}, and ignore_case", name, TestNames()));
    if (chosen != nullptr)
      return value.Complain(fmt::format("'{}' and '{}' in one condition; use 'all'", chosen->name, name));
    chosen = &*test;
  }
  if (chosen == nullptr) return tree.Complain(fmt::format("a test is missing: one of {}", TestNames()));
  node->test = chosen->test;
  const Tree& value = *tree.Find(chosen->name);
  const bool is_time = node->path.column == Column::kCreatedAt || node->path.column == Column::kUpdatedAt;
  switch (node->test) {
    case Test::kExists: {
      ASSIGN_OR_RETURN(node->wanted, ReadBoolean(value, chosen->name));
      return node;
    }
    case Test::kBefore:
    case Test::kAfter: {
      if (!is_time) return value.Complain(fmt::format("'{}' is for created_at and updated_at", chosen->name));
      auto time = ParseInstant(value.text);
      if (!time.ok()) return value.Complain(time.error().message());
      node->micros = MicrosOf(*time);
      return node;
    }
    default:
      break;
  }
  RETURN_IF_ERROR(ReadTexts(value, *chosen, &node->texts));
  for (const std::string& text : node->texts) node->numbers.push_back(NumberOf(text));
  if (node->test != Test::kMatches) {
    if (!node->ignore_case) return node;
    auto pattern = WithoutCase(node->texts, node->test);
    if (!pattern.ok()) return value.Complain(pattern.error().message());
    node->pattern = *std::move(pattern);
    return node;
  }
  RE2::Options options;
  options.set_log_errors(false);
  options.set_case_sensitive(!node->ignore_case);
  options.set_max_mem(8 << 20);
  node->pattern = std::make_unique<RE2>(node->texts[0], options);
  if (!node->pattern->ok())
    return value.Complain(
        fmt::format("'{}' is no regular expression: {}", node->texts[0], node->pattern->error()));
  return node;
}

}  // namespace sluice::pipeline

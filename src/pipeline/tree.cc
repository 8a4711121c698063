#include "pipeline/tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <optional>
#include <sstream>

// In flow style the brackets of a template would end the value, so that each template is put aside before the
// text is read, and a word without special characters stands in its place.
namespace sluice::pipeline {
namespace {

constexpr size_t kMaxBytes = 4 << 20;
constexpr size_t kMaxDepth = 32;
constexpr std::string_view kOpen = "${{";
constexpr std::string_view kClose = "}}";
constexpr std::string_view kWord = "SLUICEtemplate";  // followed by a number and an `E`

struct Templates {
  std::string text;  // the YAML with words
  std::vector<std::string> values;
};

bool IsOfRecord(std::string_view whole) {
  const size_t at = whole.find_first_not_of(" \t", kOpen.size());
  return at != std::string_view::npos && whole.substr(at).starts_with("record.");
}

// Whether the template at `at` stands in a comment, where nothing is expanded.
bool IsInComment(std::string_view yaml, size_t at) {
  const size_t newline = at == 0 ? std::string_view::npos : yaml.rfind('\n', at - 1);
  const size_t start = newline == std::string_view::npos ? 0 : newline + 1;
  char quote = '\0';
  for (size_t i = start; i < at; ++i) {
    const char c = yaml[i];
    if (quote != '\0') {
      if (c == quote) quote = '\0';
    } else if ((c == '"' || c == '\'') &&
               (i == start || std::string_view(" \t[{,:").find(yaml[i - 1]) != std::string_view::npos)) {
      quote = c;
    } else if (c == '#' && (i == start || yaml[i - 1] == ' ' || yaml[i - 1] == '\t')) {
      return true;
    }
  }
  return false;
}

Result<Templates> PutAside(std::string_view yaml, std::string_view origin, const Expander& expand) {
  Templates result;
  size_t at = 0;
  while (true) {
    const size_t open = yaml.find(kOpen, at);
    result.text += yaml.substr(at, open == std::string_view::npos ? open : open - at);
    if (open == std::string_view::npos) return result;
    if (IsInComment(yaml, open)) {
      result.text += kOpen;
      at = open + kOpen.size();
      continue;
    }
    const auto line = 1 + std::count(yaml.begin(), yaml.begin() + static_cast<ptrdiff_t>(open), '\n');
    const size_t close = yaml.find(kClose, open);
    if (close == std::string_view::npos || yaml.find('\n', open) < close)
      return InvalidArgument("{}:{}: a template does not end on its line: '}}}}' is missing", origin, line);
    const auto whole = yaml.substr(open, close + kClose.size() - open);
    std::string value(whole);
    if (!IsOfRecord(whole)) {
      auto expanded = expand(whole);
      if (!expanded.ok()) return std::move(expanded).error().With(fmt::format("{}:{}", origin, line));
      value = *std::move(expanded);
    }
    result.text += fmt::format("{}{}E", kWord, result.values.size());
    result.values.push_back(std::move(value));
    at = close + kClose.size();
  }
}

class Builder final : public YAML::EventHandler {
 public:
  Builder(std::string_view origin, const Templates& templates) : origin_(origin), templates_(templates) {}

  std::optional<Error> error;
  std::optional<Tree> document;

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (document) Fail(mark, "one document a file, please");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { Finish(At(Tree::Kind::kNull, mark), mark); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { Fail(mark, "aliases are not taken here"); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    const bool is_plain = tag == "?" || tag.empty();
    if (!is_plain && tag != "!" && tag != "tag:yaml.org,2002:str")
      return Fail(mark, fmt::format("tag '{}' is not supported", tag));
    if (is_plain && (value == "null" || value == "~" || value.empty()))
      return Finish(At(Tree::Kind::kNull, mark), mark);
    Tree tree = At(Tree::Kind::kText, mark);
    tree.text = Restore(value);
    Finish(std::move(tree), mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    Start(At(Tree::Kind::kList, mark), mark);
  }
  void OnSequenceEnd() override { End(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    Start(At(Tree::Kind::kMap, mark), mark);
  }
  void OnMapEnd() override { End(); }

 private:
  struct Open {
    Tree tree;
    YAML::Mark mark;
    std::optional<std::string> key;
  };

  Tree At(Tree::Kind kind, const YAML::Mark& mark) const {
    Tree tree;
    tree.kind = kind;
    tree.place = fmt::format("{}:{}", origin_, mark.line + 1);
    return tree;
  }
  void Fail(const YAML::Mark& mark, std::string_view what) {
    if (!error) error = InvalidArgument("{}:{}: {}", origin_, mark.line + 1, what);
  }
  std::string Restore(std::string_view text) const {
    std::string restored;
    size_t at = 0;
    while (true) {
      const size_t found = text.find(kWord, at);
      restored += text.substr(at, found == std::string_view::npos ? found : found - at);
      if (found == std::string_view::npos) return restored;
      size_t number = 0;
      for (at = found + kWord.size(); at < text.size() && text[at] != 'E'; ++at)
        number = number * 10 + static_cast<size_t>(text[at] - '0');
      ++at;
      if (number < templates_.values.size()) restored += templates_.values[number];
    }
  }
  void Start(Tree tree, const YAML::Mark& mark) {
    if (error) return;
    if (stack_.size() >= kMaxDepth) return Fail(mark, fmt::format("nested deeper than {} levels", kMaxDepth));
    stack_.push_back({std::move(tree), mark, std::nullopt});
  }
  void End() {
    if (error || stack_.empty()) return;
    Open open = std::move(stack_.back());
    stack_.pop_back();
    Finish(std::move(open.tree), open.mark);
  }
  void Finish(Tree tree, const YAML::Mark& mark) {
    if (error) return;
    if (stack_.empty()) {
      document = std::move(tree);
      return;
    }
    Open& parent = stack_.back();
    if (parent.tree.kind == Tree::Kind::kList) {
      parent.tree.items.push_back(std::move(tree));
    } else if (parent.key) {
      parent.tree.members.emplace_back(*std::move(parent.key), std::move(tree));
      parent.key.reset();
    } else if (tree.kind != Tree::Kind::kText) {
      Fail(mark, "a key must be text");
    } else if (parent.tree.Find(tree.text) != nullptr) {
      Fail(mark, fmt::format("key '{}' is given twice", tree.text));
    } else {
      parent.key = std::move(tree.text);
    }
  }

  const std::string origin_;
  const Templates& templates_;
  std::vector<Open> stack_;
};

}  // namespace

const Tree* Tree::Find(std::string_view name) const {
  for (const auto& [key, value] : members) {
    if (key == name) return &value;
  }
  return nullptr;
}

Error Tree::Complain(std::string_view message) const { return InvalidArgument("{}: {}", place, message); }

Result<Tree> ReadTree(std::string_view yaml, std::string_view origin, const Expander& expand) {
  if (yaml.size() > kMaxBytes) return InvalidArgument("{}: over {} bytes", origin, kMaxBytes);
  if (const size_t at = yaml.find(kWord); at != std::string_view::npos)
    return InvalidArgument("{}: the word '{}' is reserved", origin, kWord);
  ASSIGN_OR_RETURN(const Templates templates, PutAside(yaml, origin, expand));
  Builder builder(origin, templates);
  try {
    std::istringstream stream{templates.text};
    YAML::Parser parser(stream);
    while (!builder.error && parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& e) {
    return InvalidArgument("{}:{}: {}", origin, e.mark.line + 1, e.msg);
  } catch (const std::exception& e) {
    return InvalidArgument("{}: {}", origin, e.what());
  }
  if (builder.error) return *std::move(builder.error);
  if (!builder.document) {
    Tree empty;
    empty.place = fmt::format("{}:1", origin);
    return empty;
  }
  return *std::move(builder.document);
}

}  // namespace sluice::pipeline

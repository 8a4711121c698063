#include "workspace/config_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <vector>

#include "odf/yaml_json.h"

namespace sluice::workspace {
namespace {

using Json = nlohmann::ordered_json;
using Path = std::vector<std::string>;

constexpr int kMostEdits = 1000;

// Where two trees differ first.
struct Difference {
  Path path;
  const Json* now = nullptr;     // null: to be added
  const Json* wanted = nullptr;  // null: to be removed
};

bool HasMembers(const Json& value) { return value.is_object() && !value.empty(); }

// Members in any order are the same.
bool AreSame(const Json& a, const Json& b) { return nlohmann::json(a) == nlohmann::json(b); }

std::optional<Difference> FirstDifference(const Json& now, const Json& wanted, const Path& path) {
  const auto below = [&](const std::string& name) {
    Path longer = path;
    longer.push_back(name);
    return longer;
  };
  for (const auto& [name, value] : now.items()) {
    if (!wanted.contains(name)) return Difference{below(name), &value, nullptr};
  }
  for (const auto& [name, value] : wanted.items()) {
    if (!now.contains(name)) return Difference{below(name), nullptr, &value};
    const Json& before = now.at(name);
    if (HasMembers(before) && HasMembers(value)) {
      if (auto found = FirstDifference(before, value, below(name))) return found;
    } else if (!AreSame(before, value)) {
      return Difference{below(name), &before, &value};
    }
  }
  return std::nullopt;
}

size_t IndentOf(std::string_view line) { return std::min(line.find_first_not_of(' '), line.size()); }

// Neither blank nor a comment.
bool HasContent(std::string_view line) {
  const size_t first = line.find_first_not_of(" \t\r");
  return first != std::string_view::npos && line[first] != '#';
}

// The end of the quoted text or plain word that begins at `at`.
std::optional<size_t> EndOfScalar(std::string_view line, size_t at) {
  const char quote = line[at];
  if (quote != '"' && quote != '\'') {
    if (std::string_view("[{|>&*!").find(quote) != std::string_view::npos) return std::nullopt;
    size_t end = std::min(line.find(" #", at), line.size());
    while (end > at && (line[end - 1] == ' ' || line[end - 1] == '\r')) --end;
    return end;
  }
  for (size_t i = at + 1; i < line.size(); ++i) {
    if (quote == '"' && line[i] == '\\') {
      ++i;
    } else if (line[i] == quote && quote == '\'' && line.substr(i + 1).starts_with('\'')) {
      ++i;
    } else if (line[i] == quote) {
      return i + 1;
    }
  }
  return std::nullopt;
}

// Where the value of `key: value` begins; nothing when no value stands in the line.
std::optional<size_t> ValueIn(std::string_view line) {
  const size_t indent = IndentOf(line);
  if (indent == line.size()) return std::nullopt;
  size_t colon = std::string_view::npos;
  if (line[indent] == '"' || line[indent] == '\'') {
    const auto end = EndOfScalar(line, indent);
    if (end) colon = line.find(':', *end);
  } else {
    colon = line.find(": ", indent);
  }
  if (colon == std::string_view::npos) return std::nullopt;
  const size_t value = line.find_first_not_of(" \t\r", colon + 1);
  if (value == std::string_view::npos || line[value] == '#') return std::nullopt;
  return value;
}

class Text {
 public:
  explicit Text(const std::string& text) {
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      lines_.push_back(text.substr(at, end - at));
      at = end + 1;
    }
  }

  std::string ToString() const {
    std::string text;
    for (const auto& line : lines_) text += line + "\n";
    return text;
  }

  // Reads it. False for what is no mapping.
  bool Parse() {
    where_.clear();
    const auto json = odf::YamlToJson(ToString(), "", &where_);
    if (!json.ok()) return false;
    tree_ = Json::parse(*json, nullptr, false);
    if (tree_.is_null()) tree_ = Json::object();
    return tree_.is_object();
  }
  const Json& tree() const { return tree_; }

  // One step; false when it cannot be made.
  bool Apply(const Difference& difference) {
    if (difference.now == nullptr) return Add(difference.path, *difference.wanted);
    const auto line = OwnLineOf(difference.path);
    if (!line) return false;
    if (difference.wanted == nullptr) {
      Replace(*line, BlockEnd(*line), {});
      return true;
    }
    const auto lines = Write(difference.path.back(), *difference.wanted, IndentOf(lines_[*line]));
    if (lines.empty()) return false;
    if (lines.size() == 1 && difference.wanted->is_primitive() && difference.now->is_primitive() &&
        ReplaceScalar(*line, lines.front()))
      return true;
    Replace(*line, BlockEnd(*line), lines);
    return true;
  }

 private:
  std::optional<size_t> LineOf(const Path& path) const {
    std::string key;
    for (const auto& name : path) key += "/" + name;
    const auto found = where_.find(key);
    if (found == where_.end() || found->second < 1 || static_cast<size_t>(found->second) > lines_.size())
      return std::nullopt;
    return static_cast<size_t>(found->second) - 1;
  }

  // The same, where the line begins with the key: what stands in it is of the key alone.
  std::optional<size_t> OwnLineOf(const Path& path) const {
    const auto line = LineOf(path);
    if (!line) return std::nullopt;
    const Path parent(path.begin(), path.end() - 1);
    if (!parent.empty() && LineOf(parent) == line) return std::nullopt;
    const auto& name = path.back();
    const std::string_view rest = std::string_view(lines_[*line]).substr(IndentOf(lines_[*line]));
    for (const auto& key : {name + ":", "\"" + name + "\":", "'" + name + "':"}) {
      if (rest.starts_with(key)) return line;
    }
    return std::nullopt;
  }

  // Behind the last line of what the key in `line` holds.
  size_t BlockEnd(size_t line) const {
    const size_t indent = IndentOf(lines_[line]);
    size_t end = line + 1;
    for (size_t i = end; i < lines_.size(); ++i) {
      if (!HasContent(lines_[i])) continue;
      const size_t its = IndentOf(lines_[i]);
      const bool is_item = its == indent && std::string_view(lines_[i]).substr(its).starts_with("- ");
      if (its <= indent && !is_item) break;
      end = i + 1;
    }
    return end;
  }

  static std::vector<std::string> Write(const std::string& name, const Json& value, size_t indent) {
    const auto yaml = odf::JsonToYaml(Json{{name, value}}.dump());
    if (!yaml.ok()) return {};
    std::vector<std::string> lines = Text(*yaml).lines_;
    for (auto& line : lines) line.insert(0, indent, ' ');
    return lines;
  }

  bool Add(const Path& path, const Json& value) {
    const Path parent(path.begin(), path.end() - 1);
    const Json* holder = &tree_;
    for (const auto& name : parent) holder = &holder->at(name);
    size_t indent = 0, at = lines_.size();
    if (!holder->empty()) {
      Path first = parent;
      first.push_back(holder->begin().key());
      const auto line = OwnLineOf(first);
      if (!line) return false;
      indent = IndentOf(lines_[*line]);
    }
    if (!parent.empty()) {
      const auto line = LineOf(parent);
      if (!line) return false;
      at = BlockEnd(*line);
    }
    const auto lines = Write(path.back(), value, indent);
    if (lines.empty()) return false;
    Replace(at, at, lines);
    return true;
  }

  // Leaves what stands around it; `line` is how it would be written alone.
  bool ReplaceScalar(size_t at, const std::string& line) {
    const auto value = ValueIn(lines_[at]);
    const auto written = ValueIn(line);
    if (!value || !written) return false;
    const auto end = EndOfScalar(lines_[at], *value);
    if (!end) return false;
    lines_[at].replace(*value, *end - *value, line.substr(*written));
    return true;
  }

  void Replace(size_t from, size_t to, const std::vector<std::string>& lines) {
    const auto at = lines_.erase(lines_.begin() + static_cast<std::ptrdiff_t>(from),
                                 lines_.begin() + static_cast<std::ptrdiff_t>(to));
    lines_.insert(at, lines.begin(), lines.end());
  }

  std::vector<std::string> lines_;
  Json tree_;
  std::map<std::string, int> where_;
};

}  // namespace

std::optional<std::string> EditConfigText(const std::string& text, const Json& wanted) {
  Text edited(text);
  for (int edits = 0; edits < kMostEdits; ++edits) {
    if (!edited.Parse()) return std::nullopt;
    const auto difference = FirstDifference(edited.tree(), wanted, {});
    if (!difference) return edited.ToString();
    const std::string before = edited.ToString();
    if (!edited.Apply(*difference) || edited.ToString() == before) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace sluice::workspace

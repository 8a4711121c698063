#include "connectors/rest/json_slice.h"

#include <functional>
#include <nlohmann/json.hpp>

#include "pipeline/json_scan.h"

namespace sluice::connectors::rest {
namespace {

using pipeline::FindValueEnd;
using pipeline::SkipSpace;

// Calls with each member's name, in its quotes, and value, until false.
void ForMembers(std::string_view json,
                const std::function<bool(std::string_view name, std::string_view value)>& call) {
  size_t at = SkipSpace(json, 0);
  if (at >= json.size() || json[at] != '{') return;
  at = SkipSpace(json, at + 1);
  while (at < json.size() && json[at] == '"') {
    const size_t name_end = FindValueEnd(json, at);
    if (name_end == std::string_view::npos) return;
    const std::string_view name = json.substr(at, name_end - at);
    at = SkipSpace(json, name_end);
    if (at >= json.size() || json[at] != ':') return;
    at = SkipSpace(json, at + 1);
    const size_t end = FindValueEnd(json, at);
    if (end == std::string_view::npos || !call(name, json.substr(at, end - at))) return;
    at = SkipSpace(json, end);
    if (at >= json.size() || json[at] != ',') return;
    at = SkipSpace(json, at + 1);
  }
}

bool IsNamed(std::string_view quoted, const std::string& name) {
  if (quoted.find('\\') == std::string_view::npos) return quoted.substr(1, quoted.size() - 2) == name;
  return TextOf(quoted) == name;
}

}  // namespace

Result<JsonPath> JsonPath::Parse(std::string_view text) {
  JsonPath path;
  path.text = text;
  if (text.starts_with('$')) text.remove_prefix(1);
  if (text.empty() || text == ".") return path;
  std::string inside = "metadata";
  if (text[0] != '.' && text[0] != '[') inside += '.';
  inside += text;
  auto parsed = pipeline::FieldPath::Parse(inside);
  if (!parsed.ok()) return InvalidArgument("'{}' is no place in a JSON text: a.b[0].\"c d\"", path.text);
  path.steps = std::move(parsed->steps);
  return path;
}

std::optional<std::string_view> FindValue(std::string_view json, const JsonPath& path) {
  size_t at = SkipSpace(json, 0);
  size_t end = FindValueEnd(json, at);
  if (end == std::string_view::npos) return std::nullopt;
  std::optional<std::string_view> value = json.substr(at, end - at);
  for (const auto& step : path.steps) {
    const std::string_view inside = *value;
    value.reset();
    if (const auto* name = std::get_if<std::string>(&step)) {
      ForMembers(inside, [&](std::string_view quoted, std::string_view found) {
        if (IsNamed(quoted, *name)) value = found;  // the last one counts, as for other readers
        return true;
      });
    } else if (const auto elements = Elements(inside);
               elements && std::get<size_t>(step) < elements->size()) {
      value = (*elements)[std::get<size_t>(step)];
    }
    if (!value) return std::nullopt;
  }
  return *value == "null" ? std::nullopt : value;
}

std::optional<std::vector<std::string_view>> Elements(std::string_view json) {
  size_t at = SkipSpace(json, 0);
  if (at >= json.size() || json[at] != '[') return std::nullopt;
  std::vector<std::string_view> elements;
  at = SkipSpace(json, at + 1);
  while (at < json.size() && json[at] != ']') {
    const size_t end = FindValueEnd(json, at);
    if (end == std::string_view::npos) return std::nullopt;
    elements.push_back(json.substr(at, end - at));
    at = SkipSpace(json, end);
    if (at < json.size() && json[at] == ',') at = SkipSpace(json, at + 1);
  }
  return elements;
}

std::vector<std::string> MemberNames(std::string_view json) {
  constexpr size_t kMost = 10;
  std::vector<std::string> names;
  ForMembers(json, [&](std::string_view quoted, std::string_view) {
    if (auto name = TextOf(quoted)) names.push_back(*std::move(name));
    return names.size() < kMost;
  });
  return names;
}

std::optional<std::string> TextOf(std::string_view value) {
  if (!value.starts_with('"')) return std::string(value);
  if (value.size() >= 2 && value.find('\\') == std::string_view::npos)
    return std::string(value.substr(1, value.size() - 2));
  const auto text = nlohmann::json::parse(value, nullptr, /*allow_exceptions=*/false);
  if (!text.is_string()) return std::nullopt;
  return text.get<std::string>();
}

}  // namespace sluice::connectors::rest

#include "connectors/rest/mapping.h"

#include <algorithm>

#include "base/names.h"
#include "pipeline/json_scan.h"
#include "pipeline/settings.h"

namespace sluice::connectors::rest {
namespace {

using pipeline::Column;
using pipeline::Tree;

constexpr char kForm[] = "a value is a text, {from: PLACE}, {from: [PLACE, ...]} or {join: [PLACE, ...]}";

std::optional<Column> ColumnOf(std::string_view name) {
  for (int i = 0; i < pipeline::kColumns; ++i) {
    const auto column = static_cast<Column>(i);
    if (column != Column::kExtra && pipeline::ColumnName(column) == name) return column;
  }
  return std::nullopt;
}

// Line ends outside of texts are white space; a line of NDJSON has none.
void AppendAsLine(std::string_view json, std::string* out) {
  const size_t begin = out->size();
  out->append(json);
  std::replace_if(
      out->begin() + static_cast<ptrdiff_t>(begin), out->end(), [](char c) { return c == '\n' || c == '\r'; },
      ' ');
}

}  // namespace

Result<Mapping::Value> Mapping::ParseValue(Column column, const Tree& tree) {
  Value value;
  if (tree.kind == Tree::Kind::kText) {
    value.text = tree.text;
    std::string why;
    if (column == Column::kMetadata && !tree.text.empty() &&
        !pipeline::IsJson(tree.text, pipeline::ParseLimits().max_depth, &why))
      return tree.Complain(fmt::format("'{}' is no JSON, as metadata is", tree.text));
    return value;
  }
  if (tree.kind == Tree::Kind::kNull) return value;
  if (tree.kind != Tree::Kind::kMap || tree.members.size() != 1) return tree.Complain(kForm);
  const auto& [how, places] = tree.members.front();
  const bool is_list = places.kind == Tree::Kind::kList && !places.items.empty();
  value.joins = how == "join";
  if ((how != "from" && how != "join") || (value.joins && !is_list) ||
      (!is_list && places.kind != Tree::Kind::kText))
    return tree.Complain(kForm);
  if (value.joins && column == Column::kMetadata) return tree.Complain("metadata cannot be joined");
  const std::vector<Tree> one = {places};
  for (const Tree& place : is_list ? places.items : one) {
    if (place.kind != Tree::Kind::kText) return place.Complain(kForm);
    auto path = JsonPath::Parse(place.text);
    if (!path.ok()) return place.Complain(path.error().message());
    value.places.push_back(std::move(path).value());
  }
  return value;
}

Result<Mapping> Mapping::Parse(const Tree* tree, const Tree& defaults) {
  Mapping mapping;
  const auto add = [&](const Tree& from) -> Status {
    for (const auto& [name, value] : from.members) {
      const auto column = ColumnOf(name);
      if (!column) {
        std::vector<std::string> names;
        for (int i = 0; i < pipeline::kColumns - 1; ++i)
          names.emplace_back(pipeline::ColumnName(static_cast<Column>(i)));
        return value.Complain(
            fmt::format("'{}' is no field of a record; the fields are {}", name, JoinNames(names)));
      }
      const bool is_set = std::any_of(mapping.fields_.begin(), mapping.fields_.end(),
                                      [&](const auto& field) { return field.first == *column; });
      if (is_set) continue;
      ASSIGN_OR_RETURN(Value parsed, ParseValue(*column, value));
      mapping.fields_.emplace_back(*column, std::move(parsed));
    }
    return {};
  };
  if (tree != nullptr) {
    if (tree->kind != Tree::Kind::kMap && tree->kind != Tree::Kind::kNull)
      return tree->Complain("'record' is {FIELD: VALUE}");
    RETURN_IF_ERROR(add(*tree));
  }
  RETURN_IF_ERROR(add(defaults));
  const bool has_metadata = std::any_of(mapping.fields_.begin(), mapping.fields_.end(),
                                        [](const auto& field) { return field.first == Column::kMetadata; });
  if (!has_metadata) mapping.fields_.emplace_back(Column::kMetadata, Value{"", {JsonPath()}, false});
  return mapping;
}

Result<std::optional<std::string>> Mapping::Find(const Value& value, Column column, std::string_view item) {
  if (value.places.empty()) return value.text.empty() ? std::nullopt : std::optional<std::string>(value.text);
  std::optional<std::string> found;
  for (const JsonPath& path : value.places) {
    const auto json = FindValue(item, path);
    if (!json) continue;
    if (column == Column::kMetadata) return std::optional<std::string>(*json);
    auto text = TextOf(*json);
    if (!text)
      return MakeError(ErrorCode::kInvalidRecords, "'{}' ({}) is no text of Unicode characters", path.text,
                       pipeline::ColumnName(column));
    if (text->empty()) continue;
    if (!value.joins) return text;
    if (found) *found += "\n\n";
    found = found.value_or("") + *text;
  }
  return found;
}

Status Mapping::Append(std::string_view item, std::string* out) const {
  if (!item.starts_with('{')) {
    AppendAsLine(item, out);
    *out += '\n';
    return {};
  }
  std::string line;
  for (const auto& [column, value] : fields_) {
    ASSIGN_OR_RETURN(const auto found, Find(value, column, item));
    if (!found) continue;
    line += line.empty() ? '{' : ',';
    pipeline::AppendJsonText(pipeline::ColumnName(column), &line);
    line += ':';
    if (column == Column::kMetadata) {
      AppendAsLine(*found, &line);
    } else {
      pipeline::AppendJsonText(*found, &line);
    }
  }
  *out += line.empty() ? "{" : line;
  *out += "}\n";
  return {};
}

bool Mapping::Sets(Column column) const {
  return std::any_of(fields_.begin(), fields_.end(),
                     [&](const auto& field) { return field.first == column; });
}

std::string Mapping::ValueOf(std::string_view item, Column column) const {
  for (const auto& [field, value] : fields_) {
    if (field != column) continue;
    const auto found = Find(value, column, item);
    return found.ok() ? found->value_or("") : "";
  }
  return "";
}

}  // namespace sluice::connectors::rest

#include "sql/analysis.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>

namespace sluice::sql {
namespace {

using nlohmann::json;

std::string TextOf(const json& node, const char* key) {
  auto found = node.find(key);
  return found != node.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool IsEmptyPart(const json& node, const char* key) {
  auto found = node.find(key);
  return found == node.end() || found->is_null() || (found->is_structured() && found->empty());
}

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// Functions whose answer changes from run to run: running them batch by batch is not the same as once.
bool IsVolatile(std::string_view name) {
  static constexpr std::array<std::string_view, 6> kNames = {
      "now", "current_timestamp", "current_date", "random", "uuid", "current_time"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

// True when an expression looks at one row only.
bool IsRowExpression(const json& node, const Dialect& dialect) {
  if (node.is_object()) {
    std::string kind = TextOf(node, "class");
    if (kind == "WINDOW" || kind == "SUBQUERY") return false;
    if (kind == "FUNCTION") {
      std::string name = Lower(TextOf(node, "function_name"));
      const DialectFunction* function = dialect.Find(name);
      if (function != nullptr && function->kind != FunctionKind::kScalar) return false;
      if (IsVolatile(name)) return false;
    }
    if (kind == "COLUMN_REF" && node["column_names"].size() == 1 &&
        IsVolatile(Lower(node["column_names"][0].get<std::string>()))) {
      return false;
    }
  }
  if (!node.is_structured()) return true;
  return std::all_of(node.begin(), node.end(),
                     [&](const json& child) { return IsRowExpression(child, dialect); });
}

// Whether one row can become several.
bool Expands(const json& node) {
  if (node.is_object() && TextOf(node, "class") == "FUNCTION" &&
      Lower(TextOf(node, "function_name")) == "unnest")
    return true;
  return node.is_structured() && std::any_of(node.begin(), node.end(), Expands);
}

class Analyser {
 public:
  Analyser(const std::map<std::string, TableFacts>& tables, const Dialect& dialect)
      : tables_(tables), dialect_(dialect) {}

  TableFacts OfNode(const json& node) const {
    TableFacts facts;
    if (TextOf(node, "type") != "SELECT_NODE") return facts;
    TableFacts source = OfSource(node["from_table"]);
    std::string alias = TextOf(node["from_table"], "alias");
    if (alias.empty()) alias = TextOf(node["from_table"], "table_name");
    bool grouped = !IsEmptyPart(node, "group_sets") && node["group_sets"].size() > 1;
    bool has_ctes = node.contains("cte_map") && !IsEmptyPart(node["cte_map"], "map");
    if (!grouped && !has_ctes) facts.columns = Columns(node["select_list"], source, alias);
    facts.row_wise =
        source.row_wise && !has_ctes && IsEmptyPart(node, "modifiers") &&
        IsEmptyPart(node, "group_expressions") && IsEmptyPart(node, "group_sets") &&
        IsEmptyPart(node, "having") && IsEmptyPart(node, "qualify") && IsEmptyPart(node, "sample") &&
        TextOf(node, "aggregate_handling") == "STANDARD_HANDLING" &&
        IsRowExpression(node["select_list"], dialect_) && IsRowExpression(node["where_clause"], dialect_);
    facts.expands = source.expands || Expands(node["select_list"]);
    return facts;
  }

 private:
  TableFacts OfSource(const json& from) const {
    std::string type = TextOf(from, "type");
    TableFacts facts;
    if (type == "BASE_TABLE") {
      auto found = tables_.find(TextOf(from, "table_name"));
      if (found == tables_.end()) return facts;
      facts = found->second;
    } else if (type == "SUBQUERY") {
      facts = OfNode(from["subquery"]["node"]);
    } else {
      return facts;
    }
    if (!IsEmptyPart(from, "column_name_alias")) facts.columns.reset();
    if (!IsEmptyPart(from, "sample")) facts.row_wise = false;
    return facts;
  }

  static std::optional<std::vector<TableFacts::Column>> Columns(const json& list, const TableFacts& source,
                                                                const std::string& alias) {
    std::vector<TableFacts::Column> out;
    for (const json& item : list) {
      std::string kind = TextOf(item, "class");
      if (kind == "STAR") {
        bool plain = IsEmptyPart(item, "exclude_list") && IsEmptyPart(item, "replace_list") &&
                     IsEmptyPart(item, "rename_list") && IsEmptyPart(item, "qualified_exclude_list") &&
                     IsEmptyPart(item, "expr") && !item.value("columns", false);
        if (!plain || !source.columns) return std::nullopt;
        out.insert(out.end(), source.columns->begin(), source.columns->end());
        continue;
      }
      TableFacts::Column column{TextOf(item, "alias"), false};
      if (kind == "CONSTANT") {
        column.required = !item["value"].value("is_null", true);
      } else if (kind == "COLUMN_REF") {
        const json& names = item["column_names"];
        std::string name = names.back().get<std::string>();
        if (column.name.empty()) column.name = name;
        bool bare = names.size() == 1 || (names.size() == 2 && names[0].get<std::string>() == alias);
        column.required = bare && source.columns && IsRequired(*source.columns, name);
      }
      out.push_back(std::move(column));
    }
    return out;
  }

  static bool IsRequired(const std::vector<TableFacts::Column>& columns, const std::string& name) {
    auto found =
        std::find_if(columns.begin(), columns.end(), [&](const auto& column) { return column.name == name; });
    return found != columns.end() && found->required;
  }

  const std::map<std::string, TableFacts>& tables_;
  const Dialect& dialect_;
};

}  // namespace

TableFacts Analyse(const json& tree, const std::map<std::string, TableFacts>& tables,
                   const Dialect& dialect) {
  return Analyser(tables, dialect).OfNode(tree["statements"][0]["node"]);
}

}  // namespace sluice::sql

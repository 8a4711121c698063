#include "sql/rewrite.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/names.h"
#include "sql/engine_error.h"
#include "sql/names.h"
#include "sql/session.h"
#include "sql/size_guards.h"
#include "sql/tree_internal.h"

namespace sluice::sql {
namespace {

using nlohmann::json;

// What the parser itself turns syntax into: brackets, braces, interval literals, LIKE with ESCAPE.
constexpr auto kSyntaxFunctions = std::to_array<std::string_view>({
    "list_value",       "row",          "struct_pack",     "map",
    "timezone",         "like_escape",  "not_like_escape", "ilike_escape",
    "not_ilike_escape", "to_years",     "to_months",       "to_days",
    "to_hours",         "to_minutes",   "to_seconds",      "to_milliseconds",
    "to_microseconds",  "to_weeks",     "array_slice",     "array_extract",
    "list_slice",       "list_extract", "struct_extract",  "struct_extract_at",
    "map_extract",      "list_filter",  "list_apply",
});

// Functions of the engine's own dialect that tell of, or reach for, what is outside of the data.
constexpr auto kFencedFunctions = std::to_array<std::string_view>({
    "getenv",
    "current_setting",
    "getvariable",
    "query",
    "query_table",
    "json_execute_serialized_sql",
    "sleep",
    "sleep_ms",
    "write_log",
    "parse_duckdb_log_message",
    "which_secret",
    "current_connection_id",
    "current_query_id",
});
constexpr auto kTableFunctions =
    std::to_array<std::string_view>({"range", "generate_series", "unnest", "json_each", "json_tree", "repeat",
                                     "repeat_row", "generate_subscripts"});

constexpr auto kSessionWords = std::to_array<std::string_view>(
    {"current_date", "current_timestamp", "current_time", "localtime", "localtimestamp"});

template <size_t N>
bool Contains(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

class Rewriter {
 public:
  Rewriter(const RewriteOptions& options, std::set<std::string>& used)
      : options_(options), dialect_(options.dialect), used_(used) {}

  Status Run(json& node) {
    CollectCtes(node);
    NameNulls(node["node"]);
    return Walk(node, 0);
  }

 private:
  static constexpr int kMaxDepth = 2000;

  // A column that is NULL and nothing else is text.
  static void NameNulls(json& node) {
    if (TextOf(node, "type") != "SELECT_NODE") return;
    for (json& item : node["select_list"]) {
      if (TextOf(item, "class") != "CONSTANT" || !item["value"].value("is_null", false)) continue;
      json cast = MakeCast(item, MakeType("VARCHAR"), false);
      TakeAlias(cast, item);
      cast["child"]["alias"] = "";
      item = std::move(cast);
    }
  }

  void CollectCtes(const json& node) {
    if (node.is_object()) {
      if (auto map = node.find("cte_map"); map != node.end() && map->is_object() && map->contains("map")) {
        for (const json& entry : (*map)["map"]) ctes_.push_back(TextOf(entry, "key"));
      }
    }
    if (!node.is_structured()) return;
    for (const json& child : node) CollectCtes(child);
  }

  Status Walk(json& node, int depth) {
    if (depth > kMaxDepth) return InvalidArgument("the statement is nested too deeply");
    if (!node.is_structured()) return {};
    if (node.is_object()) {
      RETURN_IF_ERROR(RefuseForeign(node));
      EncodeNames(node);
      if (TextOf(node, "type") == "TABLE_FUNCTION") RETURN_IF_ERROR(CheckTableFunction(node));
      if (auto call = node.find("function"); call != node.end()) table_calls_.insert(&*call);
      KeepPositions(node);
    }
    bool interval = IsIntervalCall(node);
    if (interval) ++plain_;
    for (json& child : node) RETURN_IF_ERROR(Walk(child, depth + 1));
    if (interval) --plain_;
    if (!node.is_object() || plain_ > 0 || interval) return {};
    std::string kind = TextOf(node, "class");
    if (kind == "FUNCTION") return RewriteCall(node);
    if (kind == "WINDOW") return RewriteWindow(node);
    if (kind == "CONSTANT") RewriteConstant(node);
    if (kind == "CAST" && dialect_ != nullptr) return RewriteCast(node);
    return {};
  }

  // Numbers that stand for a column (`order by 1`, `group by 1`) or a count of rows stay plain numbers.
  void KeepPositions(const json& node) {
    if (auto groups = node.find("group_expressions"); groups != node.end()) {
      for (const json& group : *groups) positions_.insert(&group);
    }
    std::string type = TextOf(node, "type");
    if (type == "ORDER_MODIFIER") {
      for (const json& order : node["orders"]) {
        if (order.contains("expression")) positions_.insert(&order["expression"]);
      }
    } else if (type == "LIMIT_MODIFIER" || type == "LIMIT_PERCENT_MODIFIER") {
      for (const char* part : {"limit", "offset"}) {
        if (node.contains(part)) positions_.insert(&node[part]);
      }
    }
  }

  // `interval '1' day` arrives as a call of casts of the engine's own.
  static bool IsIntervalCall(const json& node) {
    if (!node.is_object() || TextOf(node, "class") != "FUNCTION") return false;
    std::string name = TextOf(node, "function_name");
    return name.starts_with("to_") && Contains(kSyntaxFunctions, name);
  }

  Status RefuseForeign(const json& node) const {
    std::string type = TextOf(node, "type");
    if (type == "BASE_TABLE") return CheckTable(node);
    if (!options_.fenced && dialect_ == nullptr) return {};
    if (type == "SHOW_REF") return Unsupported("SHOW, DESCRIBE and SUMMARIZE are not queries over data");
    if (type == "PIVOT") return Unsupported("PIVOT and UNPIVOT are not supported");
    if (type == "VALUE_PARAMETER")
      return InvalidArgument("the statement has parameters, which have no values here");
    return {};
  }

  Status CheckTable(const json& node) const {
    if (!options_.fenced) return {};
    std::string name = TextOf(node, "table_name");
    std::string schema = TextOf(node, "schema_name");
    if (!schema.empty() || !TextOf(node, "catalog_name").empty()) {
      const std::string full = schema + "." + name;
      if (std::find(options_.tables.begin(), options_.tables.end(), full) != options_.tables.end()) {
        return InvalidArgument("no table {} in a schema {}; a dataset's name with a dot is quoted: \"{}\"",
                               name, schema, full);
      }
      return InvalidArgument("no table '{}.{}'{}", schema, name, Choices());
    }
    auto is_there = [&](const std::vector<std::string>& names) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    if (!options_.tables.empty() && !is_there(options_.tables) && !is_there(ctes_)) {
      return InvalidArgument("no table '{}'{}", name, Choices());
    }
    return {};
  }

  std::string Choices() const {
    return options_.tables.empty() ? std::string() : "; tables are " + JoinNames(options_.tables);
  }

  Status CheckTableFunction(const json& node) const {
    auto function = node.find("function");
    std::string name = function == node.end() ? std::string() : Lower(TextOf(*function, "function_name"));
    if (dialect_ != nullptr) {
      const DialectFunction* known = dialect_->Find(name);
      if (known == nullptr || (known->kind != FunctionKind::kTable && name != "unnest"))
        return UnknownFunction(*dialect_, name);
      return {};
    }
    if (options_.fenced && !Contains(kTableFunctions, name)) {
      return MakeError(ErrorCode::kPermissionDenied, "table function '{}' is not available in queries", name);
    }
    return {};
  }

  static void EncodeKey(json& node, const char* key) {
    auto found = node.find(key);
    if (found != node.end() && found->is_string()) *found = EncodeName(found->get<std::string>());
  }
  static void EncodeList(json& node, const char* key) {
    auto found = node.find(key);
    if (found == node.end() || !found->is_array()) return;
    for (json& name : *found) {
      if (name.is_string()) name = EncodeName(name.get<std::string>());
    }
  }

  static void EncodeNames(json& node) {
    std::string kind = TextOf(node, "class");
    EncodeKey(node, "alias");
    EncodeList(node, "column_name_alias");
    EncodeList(node, "expected_names");
    EncodeList(node, "using_columns");
    if (kind == "COLUMN_REF") {
      json& names = node["column_names"];
      if (names.size() == 1 && Contains(kSessionWords, Lower(names[0].get<std::string>()))) {
        names[0] = Lower(names[0].get<std::string>());
      } else {
        EncodeList(node, "column_names");
      }
    } else if (TextOf(node, "type") == "BASE_TABLE") {
      EncodeKey(node, "table_name");
    } else if (kind == "STAR") {
      EncodeKey(node, "relation_name");
      EncodeList(node, "exclude_list");
      for (const char* list : {"replace_list", "rename_list"}) {
        if (!node.contains(list) || !node[list].is_array()) continue;
        for (json& entry : node[list]) {
          EncodeKey(entry, "key");
          EncodeKey(entry, "value");
          if (entry.contains("key")) EncodeQualified(entry["key"]);
        }
      }
      if (node.contains("qualified_exclude_list")) {
        for (json& entry : node["qualified_exclude_list"]) EncodeQualified(entry);
      }
    }
    if (auto map = node.find("cte_map"); map != node.end() && map->is_object() && map->contains("map")) {
      for (json& entry : (*map)["map"]) {
        EncodeKey(entry, "key");
        if (entry.contains("value")) EncodeList(entry["value"], "aliases");
      }
    }
    if (TextOf(node, "type").ends_with("_CTE_NODE")) {
      EncodeKey(node, "cte_name");
      EncodeKey(node, "ctename");
      EncodeList(node, "aliases");
    }
  }

  static void EncodeQualified(json& name) {
    if (!name.is_object()) return;
    for (const char* part : {"column", "table", "schema"}) EncodeKey(name, part);
  }

  Status RewriteCall(json& node) {
    std::string name = Lower(TextOf(node, "function_name"));
    node["schema"] = "";
    node["catalog"] = "";
    if (name.starts_with(kMacroPrefix)) return InvalidArgument("no function '{}'", name);
    if (dialect_ == nullptr) {
      if (options_.fenced &&
          (Contains(kFencedFunctions, name) || name.starts_with("duckdb_") || name.starts_with("pragma_"))) {
        return MakeError(ErrorCode::kPermissionDenied, "function '{}' is not available in queries", name);
      }
      if (options_.fenced && !table_calls_.contains(&node)) GuardSize(node, name);
      return {};
    }
    if (node.value("is_operator", false)) return RewriteOperator(node, name);
    if (name == "regexp_full_match" && !dialect_->Find(name)) {
      node["function_name"] = "regexp_matches";  // the operator `~`
      return {};
    }
    const DialectFunction* function = dialect_->Find(name);
    if (function == nullptr) {
      if (Contains(kSyntaxFunctions, name)) return {};
      return UnknownFunction(*dialect_, name);
    }
    if (function->kind == FunctionKind::kWindow)
      return InvalidArgument("function '{}' needs OVER (...)", function->name);
    if (function->rewrite == CallRewrite::kDatePart && IsEpoch(node["children"])) {
      UseMacro(node, "epoch", json::array({node["children"][1]}));
      return {};
    }
    RETURN_IF_ERROR(RewriteArguments(node, *function));
    Rename(node, *function);
    return {};
  }

  void Rename(json& node, const DialectFunction& function) {
    if (!function.native.empty()) {
      if (function.native != "||") node["function_name"] = function.native;
      return;
    }
    if (!function.macro.empty()) UseMacro(node, function.name, node["children"]);
  }

  // Makes `node` a call of one of the dialect's macros.
  void UseMacro(json& node, std::string_view name, json arguments) {
    std::string macro = MacroName(*dialect_, name);
    used_.insert(macro);
    node["function_name"] = macro;
    node["is_operator"] = false;
    node["children"] = std::move(arguments);
  }

  static bool IsEpoch(const json& arguments) {
    return arguments.size() == 2 && IsTextConstant(arguments[0]) &&
           Lower(arguments[0]["value"]["value"].get<std::string>()) == "epoch";
  }

  Status RewriteOperator(json& node, const std::string& name) {
    if (node["children"].size() != 2) return {};
    const bool divides = name == "/" || name == "//";
    if ((divides || name == "%") && !IsNonzeroNumber(node["children"][1])) {
      UseMacro(node, divides ? "divide" : "remainder", node["children"]);
      return {};
    }
    if (dialect_->name != "datafusion") return {};
    const char* function = name == "->" ? "json_get_json" : name == "->>" ? "json_as_text" : nullptr;
    if (function != nullptr) {
      node["is_operator"] = false;
      Rename(node, *dialect_->Find(function));
    } else if (name == "^") {
      node["is_operator"] = false;
      node["function_name"] = "xor";
    }
    return {};
  }

  Status RewriteArguments(json& node, const DialectFunction& function) {
    json& arguments = node["children"];
    switch (function.rewrite) {
      case CallRewrite::kChronoFormat:
        for (size_t i = 1; i < arguments.size(); ++i) {
          if (!IsTextConstant(arguments[i])) continue;
          json& value = arguments[i]["value"]["value"];
          value = FromChronoFormat(value.get<std::string>());
        }
        return {};
      case CallRewrite::kJavaFormat: {
        if (arguments.size() != 2) return {};
        if (!IsTextConstant(arguments[1])) {
          return Unsupported("the pattern of function '{}' must be a text literal", function.name);
        }
        json& value = arguments[1]["value"]["value"];
        ASSIGN_OR_RETURN(std::string format, FromJavaFormat(value.get<std::string>()));
        value = format;
        return {};
      }
      case CallRewrite::kNullConcat: {
        if (arguments.empty()) return InvalidArgument("function '{}' needs arguments", function.name);
        json joined = MakeCast(arguments[0], MakeType("VARCHAR"), false);
        for (size_t i = 1; i < arguments.size(); ++i) {
          json next = MakeCall(
              "||", json::array({std::move(joined), MakeCast(arguments[i], MakeType("VARCHAR"), false)}));
          next["is_operator"] = true;
          joined = std::move(next);
        }
        // A NULL among literals would make it a column of another type.
        joined = MakeCast(std::move(joined), MakeType("VARCHAR"), false);
        TakeAlias(joined, node);
        node = std::move(joined);
        return {};
      }
      case CallRewrite::kNamedStruct: {
        if (arguments.empty() || arguments.size() % 2 != 0)
          return InvalidArgument("named_struct needs pairs of name and value");
        json values = json::array();
        for (size_t i = 0; i < arguments.size(); i += 2) {
          if (!IsTextConstant(arguments[i]))
            return InvalidArgument("named_struct needs names that are text literals");
          json value = arguments[i + 1];
          value["alias"] = EncodeName(arguments[i]["value"]["value"].get<std::string>());
          values.push_back(std::move(value));
        }
        arguments = std::move(values);
        return {};
      }
      case CallRewrite::kArrowCast:
        return RewriteArrowCast(node);
      default:
        return {};
    }
  }

  Status RewriteArrowCast(json& node) {
    static constexpr auto kTypes = std::to_array<std::pair<std::string_view, std::string_view>>({
        {"Boolean", "BOOLEAN"},
        {"Int8", "TINYINT"},
        {"Int16", "SMALLINT"},
        {"Int32", "INTEGER"},
        {"Int64", "BIGINT"},
        {"UInt8", "UTINYINT"},
        {"UInt16", "USMALLINT"},
        {"UInt32", "UINTEGER"},
        {"UInt64", "UBIGINT"},
        {"Float32", "FLOAT"},
        {"Float64", "DOUBLE"},
        {"Utf8", "VARCHAR"},
        {"LargeUtf8", "VARCHAR"},
        {"Utf8View", "VARCHAR"},
        {"Binary", "BLOB"},
        {"Date32", "DATE"},
    });
    json& arguments = node["children"];
    if (arguments.size() != 2 || !IsTextConstant(arguments[1])) {
      return InvalidArgument("arrow_cast needs a value and the name of a type as a text literal");
    }
    std::string wanted = arguments[1]["value"]["value"].get<std::string>();
    std::string_view id;
    for (const auto& [name, type] : kTypes) {
      if (name == wanted) id = type;
    }
    if (wanted.starts_with("Timestamp(")) id = "TIMESTAMP";
    if (id.empty()) return Unsupported("arrow_cast to '{}' is not supported", wanted);
    json cast = MakeCast(arguments[0], MakeType(id), false);
    TakeAlias(cast, node);
    node = std::move(cast);
    return RewriteCast(node);
  }

  Status RewriteWindow(json& node) {
    std::string name = Lower(TextOf(node, "function_name"));
    if (dialect_ == nullptr) return {};
    const DialectFunction* function = dialect_->Find(name);
    if (function == nullptr) return UnknownFunction(*dialect_, name);
    if (function->kind == FunctionKind::kScalar || function->kind == FunctionKind::kTable) {
      return InvalidArgument("function '{}' is not an aggregate and takes no OVER", function->name);
    }
    // Ranks are unsigned in DataFusion.
    static constexpr auto kRanks =
        std::to_array<std::string_view>({"row_number", "rank", "dense_rank", "ntile"});
    if (dialect_->name == "datafusion" && Contains(kRanks, name)) {
      json cast = MakeCast(node, MakeType("UBIGINT"), false);
      TakeAlias(cast, node);
      cast["child"]["alias"] = "";
      node = std::move(cast);
    }
    return {};
  }

  Status RewriteCast(json& node) {
    std::string id = node["cast_type"].value("id", "");
    bool try_cast = node.value("try_cast", false) || dialect_->try_casts;
    node["try_cast"] = try_cast;
    static constexpr auto kWhole = std::to_array<std::string_view>(
        {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"});
    std::string macro;
    if (Contains(kWhole, id)) {
      macro = MacroName(*dialect_, (try_cast && !dialect_->try_casts ? "try_cast_" : "cast_") + Lower(id));
    } else if (id == "VARCHAR") {
      macro = MacroName(*dialect_, "cast_varchar");
    } else if (id == "DATE" && dialect_->try_casts) {
      macro = MacroName(*dialect_, "cast_date");
    } else if (id == "TIMESTAMP_S" || id == "TIMESTAMP_MS") {
      return RewriteCutCast(node, id == "TIMESTAMP_S" ? 1'000'000 : 1'000);
    } else if (id == "TIMESTAMP" || id == "TIMESTAMP_NS" || id == "TIMESTAMP WITH TIME ZONE") {
      if (dialect_->try_casts) {
        macro = MacroName(*dialect_, "seconds");
      } else {
        node["cast_type"] = MakeType("TIMESTAMP WITH TIME ZONE");
        return {};
      }
    } else {
      return {};
    }
    used_.insert(macro);
    json call = MakeCall(macro, json::array({node["child"]}));
    TakeAlias(call, node);
    node = std::move(call);
    return {};
  }

  // `timestamp(0)`, `timestamp(3)`: instants keep their type and lose their fraction.
  Status RewriteCutCast(json& node, int64_t micros) {
    node["cast_type"] = MakeType("TIMESTAMP");
    RETURN_IF_ERROR(RewriteCast(node));
    const std::string macro = MacroName(*dialect_, "cut");
    used_.insert(macro);
    json call = MakeCall(macro, json::array({node, MakeWholeNumber(micros)}));
    TakeAlias(call, call["children"][0]);
    node = std::move(call);
    return {};
  }

  void RewriteConstant(json& node) {
    json& value = node["value"];
    if (value.value("is_null", true)) return;
    std::string id = value["type"].value("id", "");
    bool wide = dialect_ != nullptr && dialect_->wide_literals;
    // A double is printed without an exponent and would be read as a decimal.
    if (id == "DOUBLE" || (wide && (id == "DECIMAL" || id == "HUGEINT"))) {
      std::optional<std::string> digits = id == "DOUBLE" ? value["value"].dump() : DecimalText(value);
      if (!digits) return;
      json text = node;
      text["value"] = {{"type", MakeType("VARCHAR")}, {"is_null", false}, {"value", *digits}};
      text["alias"] = "";
      json cast = MakeCast(std::move(text), MakeType("DOUBLE"), false);
      TakeAlias(cast, node);
      node = std::move(cast);
    } else if (wide && id == "INTEGER" && !positions_.contains(&node)) {
      json cast = MakeCast(node, MakeType("BIGINT"), false);
      TakeAlias(cast, node);
      cast["child"]["alias"] = "";
      node = std::move(cast);
    }
  }

  const RewriteOptions& options_;
  const Dialect* dialect_;
  std::set<std::string>& used_;
  std::vector<std::string> ctes_;
  std::set<const json*> positions_;
  std::set<const json*> table_calls_;
  int plain_ = 0;  // inside an interval literal
};

}  // namespace

Result<json> ParseSelect(Session& session, std::string_view source, const LexRules& rules) {
  ASSIGN_OR_RETURN(NormalText normal, Normalise(source, rules));
  ASSIGN_OR_RETURN(std::string text, session.CallText("json_serialize_sql", normal.text));
  json tree = json::parse(text, nullptr, false);
  // All that the parser writes is JSON, infinity aside.
  if (tree.is_discarded()) return InvalidArgument("the query holds a number that is too large for any type");
  if (tree.value("error", false)) {
    std::string message = tree.value("error_message", "");
    if (message.starts_with("Only SELECT")) return InvalidArgument("the statement is not a SELECT");
    std::string place;
    if (tree.contains("position") && tree["position"].is_string()) {
      size_t offset = std::strtoull(tree["position"].get<std::string>().c_str(), nullptr, 10);
      place = DescribePosition(source, normal.ToSource(offset));
    }
    return InvalidArgument("{}{}", DecodeMessage(message.substr(0, message.find('\n'))), place);
  }
  if (tree["statements"].size() != 1) {
    return InvalidArgument("one SELECT statement is allowed, not {}", tree["statements"].size());
  }
  json& node = tree["statements"][0]["node"];
  if (node.value("type", "") == "SELECT_NODE" && node["select_list"].size() == normal.items.size()) {
    // Columns without a name are called what was written.
    for (size_t i = 0; i < normal.items.size(); ++i) {
      json& item = node["select_list"][i];
      std::string kind = item.value("class", "");
      if (kind != "COLUMN_REF" && kind != "STAR" && item.value("alias", "").empty())
        item["alias"] = normal.items[i];
    }
  }
  return tree;
}

Status Rewrite(json& tree, const RewriteOptions& options, std::set<std::string>& used) {
  return Rewriter(options, used).Run(tree["statements"][0]);
}

Result<std::string> Unparse(Session& session, const json& tree) {
  return session.CallText("json_deserialize_sql", tree.dump());
}

}  // namespace sluice::sql

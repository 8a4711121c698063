#include <cctype>
#include <cstdlib>

#include "sql/tree_internal.h"

namespace sluice::sql {

using nlohmann::json;

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::string TextOf(const json& node, const char* key) {
  auto found = node.find(key);
  return found != node.end() && found->is_string() ? found->get<std::string>() : std::string();
}

json MakeCall(const std::string& name, json arguments) {
  return {{"class", "FUNCTION"},   {"type", "FUNCTION"},
          {"alias", ""},           {"query_location", 0},
          {"function_name", name}, {"schema", ""},
          {"catalog", ""},         {"children", std::move(arguments)},
          {"filter", nullptr},     {"order_bys", {{"type", "ORDER_MODIFIER"}, {"orders", json::array()}}},
          {"distinct", false},     {"is_operator", false},
          {"export_state", false}};
}

json MakeType(std::string_view id) { return {{"id", id}, {"type_info", nullptr}}; }

json MakeCast(json child, json type, bool try_cast) {
  return {{"class", "CAST"},     {"type", "OPERATOR_CAST"},   {"alias", ""},
          {"query_location", 0}, {"child", std::move(child)}, {"cast_type", std::move(type)},
          {"try_cast", try_cast}};
}

bool IsTextConstant(const json& node) {
  return TextOf(node, "class") == "CONSTANT" && !node["value"].value("is_null", true) &&
         node["value"]["value"].is_string() && node["value"]["type"].value("id", "") == "VARCHAR";
}

void TakeAlias(json& replacement, json& from) {
  replacement["alias"] = TextOf(from, "alias");
  from["alias"] = "";
}

json MakeWholeNumber(int64_t value) {
  return {{"class", "CONSTANT"},
          {"type", "VALUE_CONSTANT"},
          {"alias", ""},
          {"query_location", 0},
          {"value", {{"type", MakeType("BIGINT")}, {"is_null", false}, {"value", value}}}};
}

namespace {

std::string TypeOfConstant(const json& node) {
  return TextOf(node, "class") == "CONSTANT" ? node["value"]["type"].value("id", "") : std::string();
}

}  // namespace

bool IsNonzeroNumber(const json& node) {
  if (TextOf(node, "class") == "CAST") {
    // Others may make a zero of what is not.
    const std::string to = node["cast_type"].value("id", ""), from = TypeOfConstant(node["child"]);
    return (to == "DOUBLE" || from == "INTEGER" || from == "BIGINT") && IsNonzeroNumber(node["child"]);
  }
  if (TextOf(node, "class") != "CONSTANT" || node["value"].value("is_null", true)) return false;
  const json& value = node["value"]["value"];
  if (value.is_string()) return std::strtod(value.get<std::string>().c_str(), nullptr) != 0;
  return value.is_number() && value.get<double>() != 0;
}

std::optional<std::string> DecimalText(const json& value) {
  const json& raw = value["value"];
  int scale = 0;
  if (value["type"]["type_info"].is_object()) scale = value["type"]["type_info"].value("scale", 0);
  __int128 number = 0;
  if (raw.is_number_integer()) {
    number = raw.get<int64_t>();
  } else if (raw.is_object()) {
    number = (static_cast<__int128>(raw.value("upper", int64_t{0})) << 64) + raw.value("lower", uint64_t{0});
  } else {
    return std::nullopt;
  }
  bool negative = number < 0;
  auto rest = negative ? -static_cast<unsigned __int128>(number) : static_cast<unsigned __int128>(number);
  std::string digits;
  do {
    digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(rest % 10)));
    rest /= 10;
  } while (rest > 0);
  while (static_cast<int>(digits.size()) <= scale) digits.insert(digits.begin(), '0');
  if (scale > 0) digits.insert(digits.size() - static_cast<size_t>(scale), ".");
  return (negative ? "-" : "") + digits;
}

}  // namespace sluice::sql

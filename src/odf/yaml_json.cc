#include "odf/yaml_json.h"

#include "odf/yaml_tree_internal.h"

namespace sluice::odf {
namespace {

void AddLines(const YamlNode& node, const std::string& path, std::map<std::string, int>* lines) {
  for (size_t i = 0; i < node.items.size(); ++i) {
    const auto& item = node.items[i];
    const std::string at = path + "/" + (node.is_mapping() ? node.keys[i] : std::to_string(i));
    (*lines)[at] = i < node.key_lines.size() ? node.key_lines[i] : item.line;
    AddLines(item, at, lines);
  }
}

}  // namespace

Result<std::string> YamlToJson(std::string_view yaml, std::string_view origin) {
  std::map<std::string, int> lines;
  return YamlToJson(yaml, origin, &lines);
}

Result<std::string> YamlToJson(std::string_view yaml, std::string_view origin,
                               std::map<std::string, int>* lines) {
  ASSIGN_OR_RETURN(const auto documents, ParseYaml(yaml, origin));
  if (documents.empty()) return std::string("{}");
  if (documents.size() > 1)
    return InvalidArgument("{}: one document is expected, not {}", origin, documents.size());
  AddLines(documents.front(), "", lines);
  return PrettyJson(documents.front());
}

Result<std::string> JsonToYaml(std::string_view json) {
  ASSIGN_OR_RETURN(const auto tree, ParseJson(json));
  return EmitYaml(tree);
}

}  // namespace sluice::odf

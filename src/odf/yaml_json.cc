#include "odf/yaml_json.h"

#include "odf/yaml_tree_internal.h"

namespace sluice::odf {

Result<std::string> YamlToJson(std::string_view yaml, std::string_view origin) {
  ASSIGN_OR_RETURN(const auto documents, ParseYaml(yaml, origin));
  if (documents.empty()) return std::string("{}");
  if (documents.size() > 1)
    return InvalidArgument("{}: one document is expected, not {}", origin, documents.size());
  return PrettyJson(documents.front());
}

Result<std::string> JsonToYaml(std::string_view json) {
  ASSIGN_OR_RETURN(const auto tree, ParseJson(json));
  return EmitYaml(tree);
}

}  // namespace sluice::odf

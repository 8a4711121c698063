#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::odf {

// A YAML document as JSON text, for configuration files: plain scalars become numbers, booleans and null as
// the core schema of YAML 1.2 has them. An empty text is `{}`. Errors: kInvalidArgument `origin:line: ...`;
// several documents.
Result<std::string> YamlToJson(std::string_view yaml, std::string_view origin);
// The same, and on which line each value stands: by its path, such as `/limits/batch` or `/listen/0` (items
// count from 0). A value of a mapping stands where its key does.
Result<std::string> YamlToJson(std::string_view yaml, std::string_view origin,
                               std::map<std::string, int>* lines);
// The reverse, in block style.
Result<std::string> JsonToYaml(std::string_view json);

}  // namespace sluice::odf

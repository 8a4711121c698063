#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::odf {

// A YAML document as JSON text, for configuration files: plain scalars become numbers, booleans and null as
// the core schema of YAML 1.2 has them. An empty text is `{}`. Errors: kInvalidArgument `origin:line: ...`;
// several documents.
Result<std::string> YamlToJson(std::string_view yaml, std::string_view origin);
// The reverse, in block style.
Result<std::string> JsonToYaml(std::string_view json);

}  // namespace sluice::odf

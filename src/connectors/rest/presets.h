#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/settings.h"

namespace sluice::connectors::rest {

// What is known of an API: what its options are where the configuration says nothing.
struct Preset {
  std::string url;                             // of the list
  std::map<std::string, std::string> options;  // as they would be written
  std::map<std::string, std::string> query;
  pipeline::Tree record;
};

// `discourse`, ...
const std::vector<std::string>& PresetNames();
// Of a server or, for GitHub, a repository. Errors: kInvalidArgument for a URL that does not fit.
Result<Preset> MakePreset(std::string_view name, const std::string& url);

}  // namespace sluice::connectors::rest

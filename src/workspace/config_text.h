#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace sluice::workspace {

// The YAML `text`, changed line by line until it says what `wanted` does, so that comments, order and
// spelling of everything else stay. Nothing when it is written in a way that lines cannot be taken out of or
// put into (mappings in brackets, anchors): what is returned was read back and says just that.
std::optional<std::string> EditConfigText(const std::string& text, const nlohmann::ordered_json& wanted);

}  // namespace sluice::workspace

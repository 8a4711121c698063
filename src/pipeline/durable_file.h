#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::pipeline {

// Replaces the file as a whole; durable, its name included, when it returns.
Status WriteFileDurably(const std::string& path, std::string_view text);
// Nothing when there is none.
Result<std::optional<std::string>> ReadFileIfThere(const std::string& path);

}  // namespace sluice::pipeline

#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::workspace {

// Replaces a file of the workspace: temporary file, sync, rename, sync of the folder.
Status WriteFileDurably(const std::string& path, std::string_view text, unsigned mode);

}  // namespace sluice::workspace

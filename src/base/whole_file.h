#pragma once

#include <string>

#include "base/result.h"

namespace sluice {

// The bytes of a file, which may be a pipe. Errors: the system's, naming the path; kInvalidArgument for a
// folder.
Result<std::string> ReadWholeFile(const std::string& path);

}  // namespace sluice

#pragma once

#include <string>

#include "base/result.h"

namespace sluice::cli {

// All of standard input. Errors: kInvalidArgument when it is closed.
Result<std::string> ReadStandardInput();

}  // namespace sluice::cli

#pragma once

#include <string>

namespace sluice::cli {

// The table of error codes, one Markdown row each, as `docs/errors.md` shows it.
std::string ErrorTable();

}  // namespace sluice::cli

#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::sql {

// The engine's message as an Error: its class decides the code, its first line (and its list of candidates)
// is the message. `data_code` is for values that do not fit an operation. `statement` is the text the person
// wrote, for the position of a name.
Error FromEngineMessage(std::string_view message, ErrorCode data_code, std::string_view statement = {});

// ` at line 1, column 8` for a byte offset in `text`.
std::string DescribePosition(std::string_view text, size_t offset);

}  // namespace sluice::sql

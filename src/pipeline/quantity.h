#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::pipeline {

// `200ms`, `30s`, `5m`, `1h`, `7d`; a number needs its unit. Errors: kInvalidArgument quoting the text.
Result<std::chrono::milliseconds> ParseDuration(std::string_view text);
// `64KiB`, `1GiB`, `10MB`, `1000`, `1000B`. Errors: kInvalidArgument quoting the text.
Result<uint64_t> ParseByteCount(std::string_view text);
// `1.5GiB`, for people.
std::string ShowBytes(uint64_t bytes);

}  // namespace sluice::pipeline

#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

// Times and sizes as people write them.
namespace sluice {

enum class BareNumber : uint8_t { kRefused, kSeconds };

// `200ms`, `30s`, `5m` or `5min`, `1h`, `7d`; `0` needs no unit. Errors: kInvalidArgument quoting the text.
Result<std::chrono::milliseconds> ParseDuration(std::string_view text,
                                                BareNumber bare = BareNumber::kRefused);
// In the largest unit that leaves no fraction: `90s`, `2h`.
std::string FormatDuration(std::chrono::milliseconds duration);
// `64KiB`, `1GiB`, `1.5MB`, `1000`, `1000B`. Errors: kInvalidArgument quoting the text.
Result<uint64_t> ParseByteCount(std::string_view text);
// `1.5GiB`, for people.
std::string ShowBytes(uint64_t bytes);

}  // namespace sluice

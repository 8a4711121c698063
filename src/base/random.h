#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace sluice {

// `size` bytes from the operating system's generator.
std::string RandomBytes(size_t size);
// Letters and digits, for temporary names.
std::string RandomName(size_t size);
// UUID version 7 (time-ordered), lower-case text.
std::string NewUuid();

}  // namespace sluice

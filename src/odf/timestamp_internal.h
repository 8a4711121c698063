#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/instant.h"

namespace sluice::odf {

// Multicodec of a metadata block: `kind` of its manifest.
inline constexpr int64_t kManifestKind = 0x400000;

// The 16-byte Timestamp struct (odf-metadata.md 4.2). A year outside of 32 bits is the caller's mistake.
std::array<char, 16> ToTimestampBytes(Instant instant);
// None when a part is out of its range. A leap second (nanoseconds from 1e9) becomes the second after.
std::optional<Instant> FromTimestampBytes(const char* bytes);

}  // namespace sluice::odf

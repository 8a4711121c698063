#pragma once

#include <cstdint>

#include "odf/events.h"

namespace sluice::odf::testing {

// Any event at all: every field present or absent, every variant, texts that are hard to quote. The same
// `seed` gives the same event.
MetadataEvent RandomEvent(uint32_t seed);

}  // namespace sluice::odf::testing

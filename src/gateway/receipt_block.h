#pragma once

#include <optional>

#include "dataset/dataset.h"
#include "gateway/outcome.h"

namespace sluice::gateway {

// The block that holds now what a receipt is about; nothing for a batch that has none. Reads back to it when
// a compaction has put another block in the place of its own. Errors: those of reading blocks.
Result<std::optional<multiformats::Multihash>> BlockOf(const Outcome& outcome,
                                                       const dataset::Dataset& dataset);

}  // namespace sluice::gateway

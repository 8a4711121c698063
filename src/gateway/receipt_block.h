#pragma once

#include <optional>

#include "dataset/dataset.h"
#include "gateway/journal.h"

namespace sluice::gateway {

// The block that holds now what a receipt is about; nothing for a batch that has none. Reads back to it when
// a compaction has put another block in the place of its own. Errors: kInvalidArgument when the batch was
// pushed to another dataset; those of reading blocks.
Result<std::optional<multiformats::Multihash>> BlockOf(const Journal::ReceiptAnswer& answer,
                                                       const dataset::Dataset& dataset);

}  // namespace sluice::gateway

#include "gateway/receipt_block.h"

namespace sluice::gateway {

Result<std::optional<multiformats::Multihash>> BlockOf(const Journal::ReceiptAnswer& answer,
                                                       const dataset::Dataset& dataset) {
  // Another dataset has blocks with the same numbers.
  if (answer.dataset != dataset.state().dataset_id) {
    return InvalidArgument("receipt '{}' is of another dataset: {}", answer.outcome.receipt,
                           answer.dataset.ToString());
  }
  const auto& outcome = answer.outcome;
  std::optional<multiformats::Multihash> block;
  if (!outcome.is_success()) return block;
  block = outcome.block_hash;
  if (block || !outcome.sequence) return block;
  RETURN_IF_ERROR(dataset.WalkBack([&](const dataset::StoredBlock& stored) -> Result<bool> {
    if (stored.block.sequence_number == *outcome.sequence) block = stored.hash;
    return stored.block.sequence_number > *outcome.sequence;
  }));
  return block;
}

}  // namespace sluice::gateway

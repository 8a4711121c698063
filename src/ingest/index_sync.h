#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "base/result.h"
#include "dataset/dataset.h"
#include "index/guarded_index.h"
#include "index/key_index.h"
#include "ingest/progress.h"
#include "merge/merger.h"

namespace sluice::ingest {

// The key sets that the dataset's active sources need, one for each distinct list of key columns
// (decisions.md 10).
std::vector<index::KeySet> NeededKeySets(const odf::ChainState& state);
// The set that serves `strategy`; nothing when it needs no history.
std::optional<index::KeySet> KeySetFor(const odf::ChainState& state, const odf::MergeStrategy& strategy);

// Brings one set up to the dataset's head: reads only the slices since the head it is tagged with; builds it
// anew when there is no such head, or one that is not in the chain. Rows and the head they belong to become
// visible together, whatever interrupts it. Call under the commit locks, and only when the dataset's head is
// known to be durable: an index ahead of the chain drops rows as already seen.
Status SyncIndex(index::KeyIndex& index, const index::KeySet& set, const dataset::Dataset& dataset,
                 Progress* progress, std::stop_token stop = {});

// After a commit: every set up to its head. The commit stands whatever happens here: an index left behind
// catches up before its next use.
void UpdateIndexes(index::GuardedIndex& session, const dataset::Dataset& dataset, Progress* progress);

// Columns that the index keeps of a row: the dataset's, without offset, op and system time.
Result<std::shared_ptr<arrow::Schema>> IndexRowSchema(const odf::ChainState& state);

// History of a dataset without data.
Result<std::unique_ptr<merge::KeyHistory>> MakeEmptyHistory(const odf::ChainState& state);
// History as the merge asks for it, over a set that was synced. The arguments must outlive it.
Result<std::unique_ptr<merge::KeyHistory>> MakeHistory(index::KeyIndex& index, const index::KeySet& set,
                                                       const odf::ChainState& state);

}  // namespace sluice::ingest

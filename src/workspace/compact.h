#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <utility>
#include <vector>

#include "base/result.h"
#include "workspace/workspace.h"

namespace sluice::workspace {

// How a compaction changes a chain.
struct Replacement {
  multiformats::Multihash old_head, new_head;
  uint64_t sequence = 0;  // of new_head
  // For each new block, in order: the newest old block that it stands for, and its own sequence number. An
  // old block became the first of them that is not older than it.
  std::vector<std::pair<uint64_t, uint64_t>> successors;
  std::vector<multiformats::Multihash> blocks;  // the new ones, by sequence number
};

struct CompactOptions {
  uint64_t max_slice_bytes = 300000000;
  uint64_t max_slice_records = 10000;
  bool keep_metadata_only = false;  // drops all data events, states too
  bool verify_first = false;
  std::stop_token stop;
  // Called when everything but the head's move is durable; its error stops the compaction. May be absent.
  std::function<Status(const Replacement&)> before_head;
};

struct CompactOutcome {
  bool changed = false;         // false: there was nothing to merge
  bool old_files_kept = false;  // a reader was using them; the next compaction removes them
};

// Replaces the chain by one whose adjacent slices are merged up to the limits (decisions.md 14): rows, ops,
// offsets and system times stay, and per active source its newest state and newest `sluice/file` state, in
// state-only blocks where needed. Nothing of it is visible before the head moves. The key index is re-tagged,
// not rebuilt. Old files go last, and stay where somebody reads them. Errors: kCorruption when the dataset
// does not verify; kUnavailable (locks); kInvalidArgument for derivative datasets.
Result<CompactOutcome> Compact(const Workspace& workspace, const Entry& entry, const CompactOptions& options);

}  // namespace sluice::workspace

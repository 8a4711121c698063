#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "odf/chain_state.h"
#include "odf/codec.h"
#include "odf/events.h"
#include "storage/storage.h"

namespace sluice::dataset {

using odf::ChainState;
using odf::Multihash;

// What one process knows of a dataset's syncs that failed: a later one proves nothing, whichever object of
// this dataset asks for it. Thread-safe.
class SyncFailures {
 public:
  // The newest head that could not be synced and was not written anew since.
  std::optional<Multihash> unsure_head() const {
    std::lock_guard lock(mutex_);
    return unsure_head_;
  }
  void set_unsure_head(std::optional<Multihash> head) {
    std::lock_guard lock(mutex_);
    unsure_head_ = head;
  }
  // Held by whoever moves the head, or writes it anew: neither undoes the other.
  std::mutex& head_mutex() { return head_mutex_; }

 private:
  mutable std::mutex mutex_;
  std::mutex head_mutex_;
  std::optional<Multihash> unsure_head_;  // under mutex_
};

// Where the parts of a dataset lie. `files` has exactly the standard layout (odf-metadata.md 1.1); `derived`
// is ours, outside that folder, and may be lost at any time.
struct DatasetStores {
  std::shared_ptr<storage::Storage> files;
  std::shared_ptr<storage::Storage> derived;
  std::shared_ptr<SyncFailures> failures = nullptr;  // shared by all objects of the dataset; null: its own
};

struct StoredBlock {
  Multihash hash;
  std::string bytes;  // as hashed and stored
  odf::MetadataBlock block;
};

// A slice that is written and not yet in the chain.
struct StagedSlice {
  std::unique_ptr<storage::StagedFile> file;
  Multihash physical_hash;
};

struct CommitResult {
  std::optional<Multihash> old_head;
  Multihash new_head;
  std::vector<Multihash> blocks;
  uint64_t sequence = 0;  // of the new head
};

// Everything that one head move brings.
struct CommitRequest {
  std::vector<odf::MetadataEvent> events;  // one block each, in this order
  std::vector<StagedSlice> slices;         // those that the events refer to and that are not stored yet
  Instant system_time;  // of every block; raised to the previous block's where that is later
  // Called when slices and blocks are durable, right before the head moves; its error stops the commit. May
  // be absent.
  std::function<Status(const CommitResult& result)> before_head;
};

// One dataset: its chain's derived state, its blocks, and the way to add to it. Confined to one thread at a
// time. Several objects and processes may hold the same dataset: writers serialise by the lock that the
// caller holds (decisions.md 11), and a commit still compares and swaps the head.
class Dataset {
 public:
  // Reads head and derived state. A folder without `refs/head` is kNotFound: an aborted creation. Errors:
  // kCorruption naming the block.
  static Result<std::unique_ptr<Dataset>> Open(DatasetStores stores);
  // Makes the chain of a new dataset: Seed and `events` with one system time, head last. Errors:
  // kAlreadyExists; the chain rules' errors.
  static Result<std::unique_ptr<Dataset>> Create(DatasetStores stores, const odf::Seed& seed,
                                                 std::vector<odf::MetadataEvent> events, Instant system_time);

  const ChainState& state() const { return state_; }
  const Multihash& head() const { return *state_.head; }
  storage::Storage& files() { return *stores_.files; }
  const storage::Storage& files() const { return *stores_.files; }
  storage::Storage& derived() { return *stores_.derived; }

  // Re-reads the head and catches up. Returns true when it had moved.
  Result<bool> Refresh();
  // Makes the present head durable when this process does not know it to be (push-protocol.md 5). Call before
  // building on it or acknowledging from it. Free when the head is known to be durable; else it syncs what
  // came after the newest head that is known to be, or everything; what could not be synced before is written
  // anew. Errors: then nothing may be answered from this head; asking again tries again.
  Status EnsureDurable();
  // Whether that would write files anew. Then it is to be called in the turn of a commit.
  bool MustBeWrittenAnew() const {
    return durable_head_ != state_.head && stores_.failures->unsure_head().has_value();
  }

  // Errors: kCorruption when the bytes do not hash to `hash` or do not decode, kUnsupported when they are a
  // later version's; kNotFound.
  Result<StoredBlock> ReadBlock(const Multihash& hash) const;
  // Blocks from `from` (or the head) back to the Seed, newest first, until `visit` returns false. Errors:
  // those of `visit`; kCorruption for a block that is damaged or not there.
  Status WalkBack(const std::function<Result<bool>(const StoredBlock&)>& visit,
                  std::optional<Multihash> from = std::nullopt) const;
  // Data slices after block `after` (none = from the Seed), oldest first, with the block that holds each.
  // Nothing when `after` is not in the chain.
  struct SliceRef {
    Multihash block;
    uint64_t sequence;
    odf::DataSlice slice;
  };
  Result<std::optional<std::vector<SliceRef>>> SlicesAfter(const std::optional<Multihash>& after) const;
  // True when `hash` is the head or one of its ancestors.
  Result<bool> IsAncestor(const Multihash& hash) const;

  // The system time that a commit made now would carry.
  Instant NextSystemTime(const Clock& clock) const;
  // Checks every event against the chain, makes slices and blocks durable, then moves the head. On failure
  // before the head's move nothing of it is visible and this object is as before. The cost does not depend on
  // the chain's length. Errors: kInvalidArgument from the chain rules, and for an event whose slice is
  // neither stored nor among those given; kConflict when another writer moved the head; kCommitUnknown when
  // the move's outcome is not known. After these two, Refresh tells what holds.
  Result<CommitResult> Commit(CommitRequest request);
  // The chain after `events`, without writing: for dry runs.
  Result<ChainState> Preview(const std::vector<odf::MetadataEvent>& events, Instant system_time) const;
  // Points the head at an ancestor. Errors: kNotFound when `hash` is not in the chain.
  Status Reset(const Multihash& hash);
  // Replaces the whole chain by `blocks` (compaction), which begin with the same Seed; their links and
  // numbers are filled in. They are judged as blocks of an old chain are. All of it is durable before the
  // head moves. Errors: as Commit.
  Result<Multihash> ReplaceChain(std::vector<odf::MetadataBlock> blocks, std::vector<StagedSlice> slices,
                                 const std::function<Status(const CommitResult&)>& before_head = nullptr);

 private:
  explicit Dataset(DatasetStores stores) : stores_(std::move(stores)) {
    if (!stores_.failures) stores_.failures = std::make_shared<SyncFailures>();
  }
  // Blocks that are encoded and judged, and the chain's state after them.
  struct NewBlocks {
    ChainState state;
    std::vector<std::string> bytes;
    std::vector<Multihash> hashes;
    std::vector<Multihash> slices;  // physical hashes of those that the events refer to
  };

  static Status Append(odf::MetadataBlock block, odf::Judging judging, NewBlocks* blocks);
  Status LoadState(const Multihash& head);
  // The state at `head`. `known` saves work when its head is in the chain.
  Result<ChainState> Derive(const Multihash& head, const ChainState& known) const;
  void SaveState(const ChainState& state) const;
  void NoteDurable(const Multihash& head);
  // After a commit: what the present state is, and that it is durable, for whoever opens the dataset next.
  // They are only shortcuts, and replacing two files costs as much as the commit: so a few times a second.
  void NoteCommit();
  // Copies of the named files (all, when absent) in their place, each synced before it has the name; the head
  // last. Errors: kUnavailable when that moved meanwhile.
  Status WriteAnew(std::optional<std::vector<std::string>> names);
  // Errors: kCorruption.
  Status CheckHeadBlock();
  // Compare-and-swap of the head against the present one.
  Status MoveHead(const Multihash& head);
  // What was stored after `known`; nothing when that is not in the chain, or when syncing everything is the
  // better way.
  Result<std::optional<std::vector<std::string>>> NamesAfter(const Multihash& known) const;
  Status CheckSlices(const NewBlocks& blocks, const std::vector<StagedSlice>& slices) const;
  Result<CommitResult> Publish(NewBlocks blocks, std::vector<StagedSlice> slices,
                               const std::function<Status(const CommitResult&)>& before_head = nullptr);

  DatasetStores stores_;
  ChainState state_;
  std::optional<Multihash> durable_head_;
  std::chrono::steady_clock::time_point noted_at_;
  std::optional<Multihash> checked_head_;  // its block was read, or written, by this object
};

// `blocks/<hash>`, `data/<hash>`, `checkpoints/<hash>`.
std::string BlockName(const Multihash& hash);
std::string DataName(const Multihash& hash);
std::string CheckpointName(const Multihash& hash);
inline constexpr char kHeadName[] = "refs/head";

}  // namespace sluice::dataset

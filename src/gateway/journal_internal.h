#pragma once

#include <cstring>
#include <deque>
#include <map>
#include <set>
#include <thread>
#include <unordered_map>

#include "base/mutex.h"
#include "gateway/journal.h"

namespace sluice::gateway {

using multiformats::DatasetId;
using multiformats::Multihash;

inline constexpr size_t kRecordsInChunk = 1024;

struct DigestHash {
  size_t operator()(const Digest& digest) const {
    size_t value;
    std::memcpy(&value, digest.data(), sizeof value);
    return value;
  }
};

// An entry of an outcome record.
struct EntryRef {
  Place place;
  uint32_t index = 0;
};

struct SourceTable {
  struct Key {
    EntryRef entry;
    Digest payload{};
    int64_t millis = 0;
    uint64_t chain_sequence = 0;  // of its block
  };
  std::unordered_map<Digest, Key, DigestHash> keys;
  std::deque<Digest> order;  // oldest first
  uint64_t left_order = 0;   // how many have left it at the front
  struct NewestState {
    State state;
    Digest payload{};
    EntryRef entry;
    uint64_t chain_sequence = 0;
  };
  std::optional<NewestState> newest_state;
};

// What became of a chain behind its journal's back, in the order of the records.
struct ChainChange {
  uint64_t record = 0;  // sequence of its record in the stream
  bool is_replacement = false;
  // The head went back: what was committed behind it before this record was withdrawn.
  uint64_t chain_sequence = 0;
  std::vector<std::pair<uint64_t, uint64_t>> successors;  // of a replacement
};

struct DatasetTables {
  std::map<std::string, SourceTable> sources;
  // Of the last record with a head: the one that it left, or saw (kSettled). Of the other kinds only the
  // chain tells whether it came to be.
  std::optional<Multihash> last_old_head, last_head;
  uint64_t last_sequence = 0;
  OutcomeRecord::Kind last_kind = OutcomeRecord::Kind::kSettled;
  std::vector<ChainChange> changes;
  // Queued batches that the last commit settled: pending again if that commit did not survive.
  std::vector<Place> settled_last;
};

// Outcome records that lie together: where they begin, and which queued batches they settle.
struct Chunk {
  Place begin;
  int64_t millis = 0;  // of the first record
  uint64_t first_queued = UINT64_MAX, last_queued = 0;
  size_t records = 0;
};

// A record that is known to be in the log: a checkpoint that names it is of this very log.
struct Anchor {
  Place place;
  uint64_t hash = 0;  // of its payload
};

// Where a checkpoint ends: what has to be read behind it.
struct CheckpointEnd {
  Place bodies, outcomes;
  std::set<uint64_t> done;  // outcome records behind it that are in it all the same, by sequence
  std::optional<Anchor> anchor;
};

class LogJournal final : public Journal {
 public:
  LogJournal(JournalOptions options, std::string checkpoint_path, std::unique_ptr<log::Log> bodies,
             std::unique_ptr<log::Log> outcomes)
      : options_(options),
        checkpoint_path_(std::move(checkpoint_path)),
        bodies_(std::move(bodies)),
        outcomes_(std::move(outcomes)) {}
  ~LogJournal() override { StopCheckpoints(false); }

  // Reads the last checkpoint and what follows it, or everything.
  Status Recover();
  void StartCheckpoints();

  Result<Place> Enqueue(const QueuedBatch& batch, std::string_view body) override;
  Status WaitFor(const Place& place) override { return Noted(bodies_->WaitFor(At(*bodies_, place))); }
  Result<Queued> Read(const Place& place) const override;
  std::vector<std::pair<Place, Queued>> TakePending() override;
  Result<Place> Append(const OutcomeRecord& record) override;
  void Confirm(const OutcomeRecord& record, const Place& place) override;
  std::vector<DatasetId> datasets() const override;
  Status CheckChain(const DatasetId& dataset, const Multihash& head, uint64_t sequence,
                    const std::function<Result<bool>(const Multihash&)>& is_in_chain) override;
  Status MarkSeen(const DatasetId& dataset) override;
  std::optional<FirstAnswer> FindKey(const DatasetId& dataset, const std::string& source,
                                     const Digest& key) override;
  std::optional<FirstAnswer> FindState(const DatasetId& dataset, const std::string& source,
                                       const State& state) override;
  void Forget(const DatasetId& dataset) override;
  uint64_t ReplacedUntil(const DatasetId& dataset) const override;
  std::string ReceiptOf(const Place& place, const std::string& nonce) const override;
  std::optional<uint64_t> QueueSequenceOf(const std::string& receipt) const override;
  Result<std::optional<ReceiptAnswer>> FindReceipt(const std::string& receipt) const override;
  Stats stats() const override;
  Status WriteCheckpoint() override;
  Status health() const override;
  Status Close() override;

 private:
  static log::Position At(const log::Log& stream, const Place& place) {
    return {stream.id(), place.segment, place.offset, place.sequence};
  }
  static Place PlaceOf(const log::Position& position) {
    return {position.segment, position.offset, position.sequence};
  }
  Status Noted(Status status) const {
    if (!status.ok() && status.error().code() == ErrorCode::kUnavailable) {
      MutexLock lock(mutex_);
      broken_ = status.error();
    }
    return status;
  }
  void AddChunkRecord(const OutcomeRecord& record, const Place& place) REQUIRES(mutex_);
  // `was_added`: of kUndone, whether the record that it undoes was added to the tables.
  void AddToTables(const OutcomeRecord& record, const Place& place, bool was_added) REQUIRES(mutex_);
  void AddKey(SourceTable& table, const SettledBatch& batch, EntryRef entry, int64_t millis) REQUIRES(mutex_);
  void Settle(const OutcomeRecord& record, const Place& place) REQUIRES(mutex_);
  void TakeBack(DatasetTables& tables) REQUIRES(mutex_);
  Status ReplayBodies(const CheckpointEnd& from);
  Status ReplayOutcomes(const CheckpointEnd& from);
  void Clear();

  // --- checkpoints (journal_checkpoint.cc) ---
  // Around what takes a place in a stream, so that a checkpoint sees none that is not in the tables yet.
  void BeginWrite();
  void EndWrite() REQUIRES(mutex_);
  void StopCheckpoints(bool writes_last);
  void WorkOnCheckpoints();
  bool IsCheckpointDue() const REQUIRES(mutex_);
  // Where the next start has to read from, if a checkpoint is made now.
  CheckpointEnd EndNow() REQUIRES(mutex_);
  using SourceName = std::pair<DatasetId, std::string>;
  // All but the keys; the sources whose keys follow, and where each one's order ends now.
  std::vector<std::string> EncodeTables(std::vector<std::pair<SourceName, uint64_t>>* sources)
      REQUIRES(mutex_);
  // Some keys from `*at` on; empty when there are no more before `end`.
  std::string EncodeKeys(const SourceName& source, uint64_t* at, uint64_t end);
  struct Loaded;
  Result<Loaded> ReadCheckpoint() const;
  Status CheckAgainstLog(const CheckpointEnd& end) const;
  Status TakeUp(Loaded loaded);
  void FreeSettled() REQUIRES(mutex_);
  void FreeOldOutcomes() REQUIRES(mutex_);
  std::optional<FirstAnswer> Load(const EntryRef& entry, const Digest& payload) const;
  // Of the whole log: from its beginning.
  CheckpointEnd Beginning() const {
    return {PlaceOf(bodies_->begin()), PlaceOf(outcomes_->begin()), {}, std::nullopt};
  }
  // With what resets made of it; the last that was said of it.
  using SettledIn = std::pair<DatasetId, SettledBatch>;
  Result<std::optional<SettledIn>> FindSettled(uint64_t queue_sequence) const;
  Result<std::optional<Queued>> FindWaiting(uint64_t queue_sequence) const;
  // The sequence number that a block of `chain_sequence`, known at `record`, has now; nothing when it was
  // withdrawn.
  std::optional<uint64_t> SequenceNow(const DatasetTables& tables, uint64_t record,
                                      uint64_t chain_sequence) const REQUIRES(mutex_);
  // A batch of a record, without what the chain has lost since: withdrawn, or in another block.
  SettledBatch AsOfNow(const OutcomeRecord& record, size_t index, uint64_t record_sequence) const;

  const JournalOptions options_;
  const std::string checkpoint_path_;
  std::unique_ptr<log::Log> bodies_, outcomes_;

  mutable Mutex mutex_;
  mutable std::optional<Error> broken_ GUARDED_BY(mutex_);
  std::map<uint64_t, Place> unsettled_ GUARDED_BY(mutex_);  // by sequence
  std::map<uint64_t, std::pair<Place, Queued>> pending_ GUARDED_BY(mutex_);
  uint64_t freed_segment_ GUARDED_BY(mutex_) = 0;
  std::map<DatasetId, DatasetTables> datasets_ GUARDED_BY(mutex_);
  std::deque<Chunk> chunks_ GUARDED_BY(mutex_);
  std::unordered_map<uint64_t, EntryRef> receipts_ GUARDED_BY(mutex_);  // recent ones, by queue sequence
  std::deque<uint64_t> receipt_order_ GUARDED_BY(mutex_);
  size_t key_count_ GUARDED_BY(mutex_) = 0;

  // Records of `outcomes` that were appended, and neither confirmed nor undone.
  struct Open {
    Place place;
    DatasetId dataset;
  };
  std::map<uint64_t, Open> open_ GUARDED_BY(mutex_);  // by sequence
  std::set<uint64_t> done_ GUARDED_BY(mutex_);        // settled ones behind the first of those
  std::optional<Anchor> anchor_ GUARDED_BY(mutex_);
  uint64_t batches_since_ GUARDED_BY(mutex_) = 0, body_bytes_since_ GUARDED_BY(mutex_) = 0;
  Stats counts_ GUARDED_BY(mutex_);  // of those that concern checkpoints
  int writing_ GUARDED_BY(mutex_) = 0;
  bool is_looking_ GUARDED_BY(mutex_) = false, is_closing_ GUARDED_BY(mutex_) = false;
  CondVar changed_;
  Mutex checkpoint_mutex_;  // one checkpoint at a time
  std::thread checkpointer_;
};

}  // namespace sluice::gateway

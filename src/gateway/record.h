#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.h"
#include "base/result.h"
#include "gateway/outcome.h"
#include "multiformats/did.h"

// What the two streams of the node's log hold (docs/formats/log.md).
namespace sluice::gateway {

// A batch taken for later: the header of a record of the stream `bodies`; the decoded body follows it.
struct QueuedBatch {
  multiformats::DatasetId dataset;
  std::string source;
  uint64_t activation = 0;
  std::string account;
  std::string nonce;  // part of the receipt, so that it cannot be guessed
  Instant received;
  std::optional<Instant> event_time;
  uint8_t format = 0;  // read::CodeOf; 0: the source's own
  bool allow_empty = false;
  std::optional<State> state;     // after the batch
  std::optional<State> expected;  // before it; nothing = none yet
  std::optional<Digest> key;
  Digest payload{};
};

std::string EncodeQueued(const QueuedBatch& batch, std::string_view body);
// `body` points into `bytes`. Errors: kCorruption.
Result<QueuedBatch> DecodeQueued(std::string_view bytes, std::string_view* body);

// One batch in a record of the stream `outcomes`.
struct SettledBatch {
  std::string source;
  uint64_t queue_sequence = 0;  // of its record in `bodies`; 0: it was not queued
  std::string account, nonce;
  std::optional<Digest> key;
  Digest payload{};
  // kQueued: a dead letter that was taken again; `sequence` is then that of its new record in `bodies`.
  Outcome outcome;
};

struct OutcomeRecord {
  enum class Kind : uint8_t {
    kCommit = 1,   // written before the head moves to new_head; counts only while that is in the chain
    kSettled = 2,  // no head moves; entries count while their own block is in the chain, as old_head was then
    kReset = 3,    // the operator moved the head back to new_head
    kReplaced = 4,  // compaction: old_head became new_head, block by block as in `successors`
    kUndone = 5,  // a crash kept the dataset's last kCommit from moving the head: what it settled is pending
  };
  Kind kind = Kind::kCommit;
  multiformats::DatasetId dataset;
  Instant time;
  std::optional<multiformats::Multihash> old_head, new_head;
  uint64_t sequence = 0;   // of new_head
  bool continues = false;  // old_head descends from the new_head of this dataset's record before
  std::vector<SettledBatch> batches;
  // kReplaced: as workspace::Replacement::successors.
  std::vector<std::pair<uint64_t, uint64_t>> successors;
  std::vector<multiformats::Multihash> blocks;  // kReplaced: as workspace::Replacement::blocks
};

std::string EncodeOutcomes(const OutcomeRecord& record);
// Errors: kCorruption.
Result<OutcomeRecord> DecodeOutcomes(uint8_t kind, std::string_view bytes);

}  // namespace sluice::gateway

#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "gateway/record.h"
#include "log/log.h"

namespace sluice::storage {
class Disk;
}

namespace sluice::gateway {

struct JournalOptions {
  std::chrono::seconds key_window{24 * 3600};
  size_t keys_per_source = 1'000'000;
  std::chrono::seconds receipt_window{7 * 24 * 3600};
  uint64_t max_queue_bytes = 8ull << 30;  // of the stream `bodies`
  bool accept_new_log = false;            // a missing or another log than the workspace knows is taken
  // A checkpoint is written after so many settled batches (or half as many as there are keys), or after so
  // many bytes of queued bodies: what follows it has to be read at the next start.
  uint64_t checkpoint_batches = 100'000;
  uint64_t checkpoint_body_bytes = 256 << 20;
};

// Where a record of a stream lies; the log's id is the journal's.
struct Place {
  uint64_t segment = 0, offset = 0, sequence = 0;
  bool operator==(const Place&) const = default;
};

// The first answer to a batch that came again.
struct FirstAnswer {
  Digest payload{};
  Outcome outcome;
};

// The node's log: queued batches in one stream, outcomes in another (push-protocol.md 5). Authoritative for
// idempotency keys, receipts and what is queued. An entry counts only while its block is in the chain of its
// dataset, which this class is told and does not look up. Thread-safe; one a workspace, under its lock.
//
// What is found by reading the log is written down from time to time, so that opening reads only what follows
// (docs/formats/log.md). A checkpoint that is missing, damaged or of another log is passed over: everything
// in it is in the log too.
class Journal {
 public:
  virtual ~Journal() = default;
  // `folder` is the workspace's root: the streams are in `log/`, their ids in `log-id`. Errors: kPrecondition
  // when a stream is missing, or is not the one that the workspace knows; those of the log.
  static Result<std::unique_ptr<Journal>> Open(const std::string& folder, const JournalOptions& options);

  // --- the durable queue ---

  // Takes a place in the queue; not yet durable. Errors: kResourceExhausted when the queue or the disk is
  // full; kUnavailable once the log failed.
  virtual Result<Place> Enqueue(const QueuedBatch& batch, std::string_view body) = 0;
  virtual Status WaitFor(const Place& place) = 0;
  struct Queued {
    QueuedBatch batch;
    std::string body;
    uint64_t body_bytes = 0;
  };
  // Errors: kNotFound once its space was freed.
  virtual Result<Queued> Read(const Place& place) const = 0;
  // What was queued and has no outcome, in order; without bodies. As found by Open and CheckChain.
  virtual std::vector<std::pair<Place, Queued>> TakePending() = 0;

  // --- outcomes ---

  // Durable when it returns, and counts for nothing until Confirm. Errors: as Enqueue.
  virtual Result<Place> Append(const OutcomeRecord& record) = 0;
  // What the record says has come to be: its head moved, or none had to.
  virtual void Confirm(const OutcomeRecord& record, const Place& place) = 0;

  // Datasets that have entries.
  virtual std::vector<multiformats::DatasetId> datasets() const = 0;
  // Drops what belongs to blocks that are not in the chain. `is_in_chain` may be asked about many blocks.
  // `head` is the dataset's present one. A last commit that is gone, was not marked as seen, and started from
  // a block that is there did not survive a crash: what it settled is pending again. Others that are gone
  // were withdrawn, which is recorded. To be called before anything is answered for the dataset, and whenever
  // another program moved its head.
  virtual Status CheckChain(
      const multiformats::DatasetId& dataset, const multiformats::Multihash& head, uint64_t sequence,
      const std::function<Result<bool>(const multiformats::Multihash&)>& is_in_chain) = 0;
  // Notes, once, that the dataset's last commit is in the chain: when it is not there later, it was taken
  // out. Nothing while a record of the dataset is neither confirmed nor undone. To be called before another
  // process may move the head.
  virtual Status MarkSeen(const multiformats::DatasetId& dataset) = 0;

  virtual std::optional<FirstAnswer> FindKey(const multiformats::DatasetId& dataset,
                                             const std::string& source, const Digest& key) = 0;
  // The batch that brought the source to `state`, when it is the newest that is known.
  virtual std::optional<FirstAnswer> FindState(const multiformats::DatasetId& dataset,
                                               const std::string& source, const State& state) = 0;
  virtual void Forget(const multiformats::DatasetId& dataset) = 0;
  // The sequence number of the newest block that a compaction made; 0: none that is known.
  virtual uint64_t ReplacedUntil(const multiformats::DatasetId& dataset) const = 0;

  // --- receipts ---

  // `<log id>-<sequence>-<nonce>`.
  virtual std::string ReceiptOf(const Place& place, const std::string& nonce) const = 0;
  // The place in the queue that a receipt is about; nothing when it is none of this log.
  virtual std::optional<uint64_t> QueueSequenceOf(const std::string& receipt) const = 0;
  struct ReceiptAnswer {
    multiformats::DatasetId dataset;
    std::string account;
    Outcome outcome;
  };
  // Nothing for text that is no receipt of this node. Errors: kNotFound (410) when it expired or belongs to
  // another log.
  virtual Result<std::optional<ReceiptAnswer>> FindReceipt(const std::string& receipt) const = 0;

  struct Stats {
    uint64_t queued = 0, queue_bytes = 0, log_bytes = 0, keys = 0;
    uint64_t records_read = 0;                          // of the log, when it was opened
    bool began_at_checkpoint = false;                   // else from the log's beginning
    uint64_t checkpoints = 0, checkpoint_failures = 0;  // written since
  };
  virtual Stats stats() const = 0;
  // Now, on the caller's thread. Also done by itself, and by Close. Errors: those of the file system.
  virtual Status WriteCheckpoint() = 0;
  // OK, or why nothing more can be written.
  virtual Status health() const = 0;
  virtual Status Close() = 0;
};

}  // namespace sluice::gateway

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "columnar/reject.h"
#include "gateway/journal.h"
#include "gateway/outcome.h"
#include "index/guarded_index.h"
#include "odf/events.h"
#include "read/reader.h"
#include "workspace/compact.h"
#include "workspace/workspace.h"

// The way of pushed batches into datasets: compare-and-set on source states, idempotency keys, group commit,
// the durable queue and its receipts (push-protocol.md 1, 3, 5-7).
namespace sluice::gateway {

// Something that an operator should know of.
struct GatewayEvent {
  enum class Kind { kNotReady, kReady, kSourceStopped, kDeadLetter };
  Kind kind = Kind::kReady;
  std::string dataset, source, receipt;  // where it concerns one
  std::string reason;
};

struct GatewayOptions {
  JournalOptions journal;
  int commit_threads = 3;  // a tenant leaves one to others while they come
  // Of bodies and rows that wait in memory, shared among accounts (base/shares.h); over it a push is answered
  // kUnavailable.
  uint64_t max_waiting_bytes = 256 << 20;
  std::chrono::seconds max_queue_age{7 * 24 * 3600};  // of a dataset's oldest; then nothing more is queued
  // Blocks a dataset may get: on average over an hour, saved up to a burst. Nothing: unlimited.
  std::optional<double> blocks_per_second = 1.0;
  double block_burst = 3600;
  // One commit takes no more than this.
  uint64_t group_bytes = 64 << 20;
  std::chrono::milliseconds retry_after_failure{1000};
  bool ack_durable = false;  // every push is answered when it is in the queue
  // Called on the gateway's threads, must not block nor call back; null = none.
  std::function<void(const GatewayEvent&)> on_event;
};

struct PushRequest {
  std::optional<std::string> source_name;
  std::optional<read::InputFormat> format;  // other than the source's own
  std::string media_type;                   // as given: part of the payload's digest
  std::optional<Instant> event_time;
  std::optional<std::string> state_kind, next_state;
  std::optional<std::string> if_state;  // `*` = none yet
  std::optional<std::string> idempotency_key;
  bool respond_async = false;
  bool allow_empty = false;  // a body of zero bytes to a Snapshot source is meant
  std::string account;
  std::string body;  // decoded
};

// Why a push was not taken, or failed.
struct Refusal {
  Error error;
  std::vector<columnar::Reject> rejects;  // the first bad records
  int64_t reject_count = 0;
  // Of the source, for kPrecondition: only durable ones.
  struct States {
    std::optional<State> accepted, committed;
  };
  std::optional<States> states;
  std::optional<int> retry_after_seconds;
  std::optional<int> http_status;  // where the code's own is not exact: 428
};

using PushAnswer = std::variant<Outcome, Refusal>;

struct SourceView {
  std::string name;
  bool is_polling = false;  // nothing is pushed to it, and what is committed is accepted
  odf::ReadStep read;
  odf::MergeStrategy merge;
  std::optional<State> accepted, committed;
  // The block that carries `committed`. Of a polling source only the number is known.
  std::optional<uint64_t> state_sequence;
  std::optional<multiformats::Multihash> state_block;
  // The newest block of the source, with a state or without; nothing when there is none, or when it is not
  // known which of several sources added what has no state (LastCommits). As `state_block`.
  std::optional<uint64_t> last_sequence;
  std::optional<multiformats::Multihash> last_block;
  uint64_t queued = 0, queued_bytes = 0;
  std::optional<Instant> oldest;       // queued batch
  std::optional<std::string> stopped;  // receipt of the batch at which it stands still
  std::string last_error;
};

struct DeadLetter {
  std::string receipt, source, account, reason;
  Instant received, failed;
  uint64_t bytes = 0;
};

struct DatasetStatus {
  workspace::Entry entry;
  std::vector<SourceView> sources;
  uint64_t waiting = 0;  // batches, not only queued ones
  uint64_t dead_letters = 0;
  std::string last_error;
  uint64_t commits = 0, records = 0;  // since the start
};

// How what is no push comes between the commits of a dataset.
struct Exclusive {
  bool drop_queue = false;            // what is queued is given up instead of committed
  std::chrono::milliseconds wait{0};  // for what was taken before
  // Only data of this push source is added: other sources may stand still meanwhile.
  std::optional<std::string> adds_to;
};

// What batches of an account take now.
struct TenantUse {
  uint64_t waiting_bytes = 0;  // in memory
  uint64_t queued_bytes = 0;   // of the durable queue
};

// While it lives, bodies of one record that its thread pushes are only collected; its end reads and takes
// them together, which costs a fraction of one by one. Everything else is pushed at once. Confined to one
// thread, which has one at most.
class PushTogether {
 public:
  PushTogether();
  ~PushTogether();
  PushTogether(const PushTogether&) = delete;
  PushTogether& operator=(const PushTogether&) = delete;

 private:
  friend class Lane;
  struct Collected;
  static thread_local PushTogether* current_;
  std::unique_ptr<Collected> collected_;
};

// Thread-safe. One a workspace, which it keeps while it lives (Workspace::Hold).
class Gateway {
 public:
  virtual ~Gateway() = default;
  // Takes up what is queued. `workspace` and `clock` must outlive it. Errors: kUnavailable when another
  // process writes here for long; kPrecondition for a lost log.
  static Result<std::unique_ptr<Gateway>> Open(workspace::Workspace& workspace, const Clock& clock,
                                               const GatewayOptions& options);

  // Takes a batch for `dataset`; calls `done` exactly once, from any thread, perhaps before it returns. Reads
  // the body on the caller's thread; waits for nothing else.
  virtual void Push(const workspace::Entry& dataset, PushRequest request,
                    std::function<void(PushAnswer)> done) = 0;
  // What would be refused of the push if `source` were the dataset's and nothing of it there yet: for a
  // source that is added together with its first records. Reads the body on the caller's thread.
  virtual std::optional<Refusal> Try(const workspace::Entry& dataset, const odf::AddPushSource& source,
                                     const PushRequest& request) = 0;
  // Views of the active sources, the polling one included, or of one. Waits for commits in progress. Errors:
  // kNotFound listing the choices.
  virtual Result<std::vector<SourceView>> Sources(const workspace::Entry& dataset,
                                                  const std::optional<std::string>& name) = 0;
  // Nothing for text that is no receipt. Errors: kNotFound when it expired.
  virtual Result<std::optional<Journal::ReceiptAnswer>> FindReceipt(const std::string& receipt) const = 0;

  // Runs `change` in its place of the order: what was taken for the dataset before is settled first, nothing
  // else is committed meanwhile. For changes of sources and schema, reset, delete, compaction. Errors:
  // kUnavailable when the queue does not drain in time, or a source stands still; those of `change`.
  virtual Status RunExclusive(const workspace::Entry& dataset, const Exclusive& how,
                              const std::function<Status()>& change) = 0;
  // For a commit of another part of this process (a pull): waits for its turn among the commits of the
  // dataset, holds them up while it lives, and then shows them what it did. To be destroyed by the thread
  // that called. Errors: kUnavailable while the node shuts down; as Workspace::BeginCommit.
  virtual Result<std::unique_ptr<index::GuardedIndex>> BeginCommit(const workspace::Entry& dataset) = 0;
  // The dataset is gone. In RunExclusive.
  virtual void NoteDeleted(const workspace::Entry& dataset) = 0;
  // Replaces the history by one of fewer slices; keys and receipts stay good (decisions.md 14). False when
  // there was nothing to merge.
  virtual Result<workspace::CompactOutcome> Compact(const workspace::Entry& dataset,
                                                    const workspace::CompactOptions& options) = 0;
  // Lets another process write: settles `dataset` (all when absent) as RunExclusive does, gives the workspace
  // up, and takes it back after `released` returned (which waits until the other is done). Nothing is
  // committed meanwhile.
  virtual Status StepAside(const std::optional<workspace::Entry>& dataset, const Exclusive& how,
                           const std::function<void()>& released) = 0;

  // Of the datasets that are open here. Costs little, unlike status().
  struct Counts {
    std::string alias;
    uint64_t commits = 0, records = 0;  // since the start
  };
  virtual std::vector<Counts> counts() const = 0;
  // The queue, as `sluice status` and `sluice queue` see it.
  virtual std::vector<DatasetStatus> status() const = 0;
  virtual Result<std::vector<DeadLetter>> DeadLetters(const workspace::Entry& dataset) const = 0;
  // A stopped source goes on with the batch at which it stands, or a dead letter is taken once more: returns
  // the receipt that tells what becomes of it.
  virtual Result<std::string> Retry(const workspace::Entry& dataset, const std::string& receipt) = 0;
  // Gives a batch up, and those that build on it.
  virtual Status Drop(const workspace::Entry& dataset, const std::string& receipt) = 0;

  // OK, or why nothing can be acknowledged: disk full, failing fsync.
  virtual Status health() const = 0;
  virtual Journal::Stats journal_stats() const = 0;
  virtual uint64_t waiting_bytes() const = 0;
  // By account; those that have nothing here may be missing.
  virtual std::map<std::string, TenantUse> tenants() const = 0;

  // Takes no more; commits what waits, as far as `grace` allows. Queued batches stay for the next start.
  virtual void Drain(std::chrono::milliseconds grace) = 0;
};

}  // namespace sluice::gateway

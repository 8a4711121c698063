#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "base/shares.h"
#include "gateway/acknowledger.h"
#include "gateway/committers.h"
#include "gateway/dead_letters.h"
#include "gateway/gateway.h"
#include "gateway/last_commits.h"
#include "ingest/group.h"

namespace sluice::gateway {

// A shared mutex whose sharers do not overtake the one who wants it alone: commits follow each other closely,
// and would keep it for ever.
class Turn {
 public:
  void lock() {
    std::lock_guard first(gate_);
    mutex_.lock();
  }
  void unlock() { mutex_.unlock(); }
  void lock_shared() {
    std::lock_guard first(gate_);
    mutex_.lock_shared();
  }
  void unlock_shared() { mutex_.unlock_shared(); }

 private:
  std::mutex gate_;
  std::shared_mutex mutex_;
};

// What all lanes of a gateway share.
struct Shared {
  workspace::Workspace* workspace = nullptr;
  const Clock* clock = nullptr;
  GatewayOptions options;
  std::unique_ptr<DeadLetters> dead_letters;
  std::unique_ptr<Acknowledger> acknowledger;
  std::unique_ptr<Committers> committers;
  // What waits in memory, and on disk, by account.
  std::unique_ptr<Shares> memory, queue;
  std::atomic<bool> draining{false};
  // The log is being opened anew: what is queued in it is not known, so nothing can be judged.
  std::atomic<bool> reopening{false};
  std::stop_source stop;
  // Commits hold it shared; who lets another process write holds it alone.
  Turn turn;

  std::shared_ptr<Journal> journal() const {
    std::lock_guard lock(mutex_);
    return journal_;
  }
  void set_journal(std::shared_ptr<Journal> journal) {
    std::lock_guard lock(mutex_);
    journal_ = std::move(journal);
  }
  // The last failure of the disk, or nothing.
  void NoteFailure(const Error& error) {
    if (error.code() == ErrorCode::kCancelled) return;  // the node stops: nothing has failed
    bool is_new;
    {
      std::lock_guard lock(mutex_);
      is_new = !failure_;
      failure_ = error;
    }
    if (is_new) Tell({.kind = GatewayEvent::Kind::kNotReady, .reason = error.ToString()});
  }
  void NoteSuccess() {
    bool was_failing;
    {
      std::lock_guard lock(mutex_);
      was_failing = failure_.has_value();
      failure_.reset();
    }
    if (was_failing) Tell({.kind = GatewayEvent::Kind::kReady});
  }
  void Tell(const GatewayEvent& event) const {
    if (options.on_event) options.on_event(event);
  }
  Status health() const;

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<Journal> journal_;
  std::optional<Error> failure_;
};

using Done = std::function<void(PushAnswer)>;

// A batch that was taken. `waiters` and `done` belong to the lane's mutex; rows and body to whoever commits.
struct Batch {
  std::string source;
  uint64_t activation = 0;
  uint64_t order = 0;                              // in which the lane took it
  std::chrono::steady_clock::time_point taken_at;  // by it
  std::optional<State> state, expected;
  std::optional<Digest> key;
  Digest payload{};
  std::string account;
  Instant received;
  std::optional<Instant> event_time;
  std::optional<read::InputFormat> format;
  bool allow_empty = false;

  std::shared_ptr<const std::string> body;  // absent when it lies in the queue alone
  std::optional<ingest::ReadyBatch> ready;
  uint64_t charged_bytes = 0;
  uint64_t body_bytes = 0;

  std::optional<Place> place;        // in the queue
  std::shared_ptr<Journal> journal;  // of `place`
  bool is_durable = false;           // under the lane's mutex: it is in the queue for sure
  std::string nonce, receipt;

  struct Waiter {
    Done done;
    bool is_repeat = false;
  };
  std::vector<Waiter> waiters;
  bool is_awaited = false;  // by a client, though it lies in the queue: WaitingLine::Await
  bool is_settled = false;
  std::vector<std::function<void()>> afterwards;  // run once it is settled, whatever the outcome
};
using BatchPtr = std::shared_ptr<Batch>;

// The batches of a lane that wait for a commit, in their order.
class WaitingLine {
 public:
  using Batches = std::deque<BatchPtr>;
  bool empty() const { return batches_.empty(); }
  size_t size() const { return batches_.size(); }
  uint64_t body_bytes() const { return body_bytes_; }
  // Of them, those that are not answered before they are committed.
  size_t clients() const { return clients_; }
  Batches::const_iterator begin() const { return batches_.begin(); }
  Batches::const_iterator end() const { return batches_.end(); }

  void Append(BatchPtr batch);
  // Has a batch of the queue count as a client's, or no more, here or once it comes back.
  void Await(const BatchPtr& batch, bool is_awaited);
  // Batches that had left for a commit and come back to their places.
  void PutBack(std::vector<BatchPtr> batches);
  bool Contains(const BatchPtr& batch) const;
  // Nothing happens when it is not there.
  void Remove(const BatchPtr& batch);
  Batches::const_iterator Remove(Batches::const_iterator at);

 private:
  Batches batches_;
  uint64_t body_bytes_ = 0;
  size_t clients_ = 0;
};

inline constexpr int kRetrySoonSeconds = 1;
inline constexpr int kRetryLaterSeconds = 30;
inline constexpr uint64_t kBatchOverhead = 1024;  // of memory, beside the body
// 503, with when to come again.
Refusal Busy(Error error, int seconds);
// What is kept of an idempotency key, and how it is looked up among those that run.
Digest KeyDigest(const std::string& key);
std::string KeyText(const Digest& digest);
// What the journal keeps of a batch.
SettledBatch EntryOf(const Batch& batch, Outcome outcome);

// All pushes into one dataset: takes batches, commits them in groups. Thread-safe; at most one commit runs at
// a time.
class Lane : public std::enable_shared_from_this<Lane> {
 public:
  static Result<std::shared_ptr<Lane>> Open(Shared& shared, const workspace::Entry& entry);

  void Push(std::shared_ptr<PushRequest> request, Done done);
  // As Gateway::Try.
  std::optional<Refusal> Try(const odf::AddPushSource& source, const PushRequest& request);
  // Takes up a batch that an earlier process queued.
  void AddQueued(const Place& place, const Journal::Queued& queued);
  // Forgets what it has taken (the log is opened anew, and brings the queued batches again); who waits is
  // told to repeat.
  void DropQueuedFromMemory();
  // Brings a log that was opened anew, and the dataset, to agree about the last commit.
  Status CompareJournal();
  // Commits what waits without sparing blocks: the node ends.
  void Hurry();

  Result<std::vector<SourceView>> Sources(const std::optional<std::string>& name);
  DatasetStatus status();
  Gateway::Counts counts() const;
  // `alone`: no other lane commits meanwhile either.
  Status RunExclusive(const Exclusive& how, bool alone, const std::function<Status()>& change);
  // As Gateway::BeginCommit.
  Result<std::unique_ptr<index::GuardedIndex>> BeginCommit();
  Result<workspace::CompactOutcome> Compact(workspace::CompactOptions options);
  Result<std::string> Retry(const std::string& receipt);
  Status Drop(const std::string& receipt);
  // Of batches that an earlier process queued: those that were dead letters before are none any more.
  void RemoveRetried(const std::vector<std::pair<Place, Journal::Queued>>& queued);
  // Re-reads the head after another process may have written.
  Status Refresh();
  // Nothing waits but what stands behind stopped sources.
  bool is_idle() const;
  void set_entry(workspace::Entry entry);
  workspace::Entry entry() const;
  // Answers all that wait: the dataset is gone, or the node ends.
  void Abandon(const Error& error);

 private:
  friend class PushTogether;
  class HeldTurn;
  struct Gate {
    uint64_t activation = 0;
    BatchPtr accepted_by;  // the newest taken batch with a state, until it is settled
    std::unordered_map<std::string, BatchPtr> running_keys;
    BatchPtr stopped;  // the queued batch at which the source stands still
    std::string last_error;
  };

  Lane(Shared& shared, workspace::Entry entry) : shared_(shared), entry_(std::move(entry)) {}

  // --- taking (lane.cc) ---
  std::shared_ptr<const odf::ChainState> view() const;
  Gate& GateOf(const std::string& source, const odf::ChainState& chain) REQUIRES(mutex_);
  std::optional<State> Committed(const std::string& source, const odf::ChainState& chain) const;
  std::optional<State> Accepted(const Gate& gate, const std::string& source,
                                const odf::ChainState& chain) const REQUIRES(mutex_);
  // Answers, or makes it wait for another batch, when the push need not or cannot be taken. Called with the
  // batch's identity known. True when it did; what is to be called is then in `answer`.
  bool AnswerWithoutTaking(const std::shared_ptr<PushRequest>& request, const BatchPtr& batch, Done& done,
                           std::function<void()>* answer) REQUIRES(mutex_);
  bool AnswerRepeat(const PushRequest& request, const BatchPtr& batch, const BatchPtr& first,
                    std::string_view known_by, Done& done, std::function<void()>* answer) REQUIRES(mutex_);
  bool AnswerFirst(const BatchPtr& batch, const FirstAnswer& first, std::string_view known_by, Done& done,
                   std::function<void()>* answer);
  // What is answered while the source stands still.
  Refusal Stopped(const Gate& gate, const std::string& source) const REQUIRES(mutex_);
  // As Accepted, without what a crash would lose: the only states that are told.
  std::optional<State> DurableAccepted(const Gate& gate, const std::string& source,
                                       const odf::ChainState& chain) const REQUIRES(mutex_);
  Refusal Precondition(const Gate& gate, const Batch& batch, const odf::ChainState& chain) const
      REQUIRES(mutex_);
  void Enter(const BatchPtr& batch) REQUIRES(mutex_);
  void Leave(const BatchPtr& batch) REQUIRES(mutex_);
  // Forgets all that waits; what is to be called without the mutex tells the clients.
  std::vector<std::function<void()>> TurnAllAway(const Error& error) REQUIRES(mutex_);

  // --- reading what arrives, and taking it (lane_arrivals.cc) ---
  // A push on its way to be taken. The batch keeps its body.
  struct Arrival {
    std::shared_ptr<PushRequest> request;
    BatchPtr batch;
    Done done;
    std::shared_ptr<ingest::FramePlan> plan;  // of a record that can be read with others
  };
  // Admits it, at once or with others (PushTogether).
  void Arrive(Arrival arrival, const odf::ChainState& chain);
  // Reads them, refuses those that are not good, takes the others.
  void Admit(std::vector<Arrival> arrivals);
  // Makes them ready, each a body that looks like one record of the plan: all at once, else by halves. Those
  // that are no good, or that the query leaves out, are left as they are.
  void ReadTogether(const std::shared_ptr<ingest::FramePlan>& plan, std::span<Batch* const> batches) const;
  // Of a group, those that lie in the queue alone, as far as they can be read together.
  void ReadQueuedTogether(const std::vector<BatchPtr>& group, const odf::ChainState& chain);
  Status MakeReady(Batch& batch, const odf::ChainState& chain, Refusal* refusal);
  Status MakeReady(Batch& batch, std::shared_ptr<ingest::FramePlan> plan, Refusal* refusal) const;
  ingest::FrameOptions FrameOptionsFor(size_t body_bytes) const;
  // The plan by which batches of a source are read, for the dataset as `chain` says it is.
  Result<std::shared_ptr<ingest::FramePlan>> PlanOf(const std::string& source,
                                                    std::optional<read::InputFormat> format,
                                                    const odf::ChainState& chain);
  void Take(std::vector<Arrival> arrivals);
  // Nothing when it was taken, else what answers it.
  std::function<void()> TakeOne(Arrival& arrival, const std::shared_ptr<Journal>& journal) REQUIRES(mutex_);
  Result<Place> Enqueue(Batch& batch, Journal& journal) REQUIRES(mutex_);
  // How long the oldest queued batch has waited.
  std::chrono::seconds QueueAge() const REQUIRES(mutex_);
  void OnQueued(const std::vector<Arrival>& arrivals, const Status& status);

  // Errors: kUnavailable naming a source that stands still (`source`, or any).
  Status CheckNoneStopped(const std::optional<std::string>& source) const REQUIRES(mutex_);
  // Gives up what is queued.
  Status DropQueued();
  // Takes a place in the order, and waits until nothing before it can be committed any more.
  Status TakePlace(const Exclusive& how);
  // Whether what was taken before the place, but what stands behind stopped sources, is committed.
  bool IsSettledBefore(uint64_t order) const REQUIRES(mutex_);
  void LeavePlace() REQUIRES(mutex_);
  SourceView ViewOf(const std::string& name, const odf::ChainState::PushSource& source) REQUIRES(mutex_);

  // --- dead letters (lane_control.cc) ---
  // Takes a dead letter again, once. With letters_mutex_.
  Result<std::string> RetryLetter(const std::string& receipt);
  // The batch that was taken with this key last, which a dead letter may have become: kQueued while it waits.
  std::optional<FirstAnswer> FindRetried(const std::string& source, const Digest& key);
  // Has the letter's receipt tell what became of it, and removes the letter. Of kQueued `sequence` is the new
  // place in the queue.
  Status SettleLetter(const std::string& receipt, const QueuedBatch& batch, Outcome outcome);

  // --- committing (lane_commit.cc) ---
  // Sees to it that what waits is committed when its time has come.
  void Schedule() REQUIRES(mutex_);
  // How long what waits may gather, seen from now.
  std::chrono::steady_clock::duration Window() const REQUIRES(mutex_);
  void Run();
  bool IsLate(const std::vector<BatchPtr>& group) const REQUIRES(mutex_);
  std::vector<BatchPtr> TakeGroup() REQUIRES(mutex_);
  // Which of those that wait go into a group that cannot hold them all: accounts by turns.
  std::vector<BatchPtr> ChooseFairly() REQUIRES(mutex_);
  bool IsReady(const Batch& batch) REQUIRES(mutex_);
  // What became of each batch of a group: nothing for those that stay.
  struct Settled {
    BatchPtr batch;
    std::optional<Outcome> outcome;
    std::optional<Refusal> refusal;
    bool is_unrecorded = false;  // its outcome is that of another batch, and not in the journal yet
  };
  // `session` are the locks, which the caller holds on to.
  Status CommitGroup(std::vector<BatchPtr> group, std::vector<Settled>* settled, std::vector<BatchPtr>* later,
                     std::unique_ptr<index::GuardedIndex>* session);
  Status PrepareGroup(const std::vector<BatchPtr>& group, std::vector<Settled>* settled,
                      std::vector<BatchPtr>* members, std::vector<BatchPtr>* later);
  Status MergeGroup(const std::vector<BatchPtr>& members, index::GuardedIndex& session,
                    std::vector<Settled>* settled, std::vector<BatchPtr>* later);
  static bool StopsSource(const Batch& batch, const Error& error);
  Status Load(Batch& batch) const;
  OutcomeRecord RecordOf(const std::vector<BatchPtr>& members, const ingest::GroupResult& result) const;
  Outcome OutcomeOf(const Batch& batch, const ingest::IngestOutcome& ingested) const;
  Status SettleFailures(std::vector<Settled>* settled);
  Status Bury(const Batch& batch, const Error& error, OutcomeRecord* record);
  void Finish(std::vector<Settled> settled, std::vector<BatchPtr> later);
  // Collects what tells those who wait for a batch.
  static void Tell(const Settled& settled, std::vector<std::function<void()>>* calls);
  // Tells those who wait behind a batch at which their source has come to a stand.
  void RefuseBehindStopped(std::vector<std::function<void()>>* calls) REQUIRES(mutex_);
  void GiveUp(std::vector<BatchPtr> group, const Error& error);
  void PublishView();
  std::chrono::steady_clock::duration BudgetDelay() REQUIRES(mutex_);

  // --- agreeing with journal and chain (lane_journal.cc) ---
  Status CheckJournal();
  // Writes that the last record, whose head did not come to be, does not count.
  Status Undo(const multiformats::DatasetId& dataset);
  // A commit whose outcome was not known: settles what it did.
  Status ResolveUnknown();
  // `adds_to`: the source of what another process may have added, when that is known.
  Status RefreshLocked(const std::optional<std::string>& adds_to = std::nullopt);
  void NoteCommit(const std::string& source, const Outcome& outcome) REQUIRES(mutex_);

  Shared& shared_;

  // Held while a dead letter is taken again or given up: each becomes one batch at most.
  std::mutex letters_mutex_;

  // Held by whoever uses `dataset_`.
  std::mutex dataset_mutex_;
  std::unique_ptr<workspace::Scratch> scratch_;
  std::unique_ptr<dataset::Dataset> dataset_;
  bool is_behind_ = false;  // the head of `dataset_` moved, and journal and view do not know
  // Journalled for a commit that failed, perhaps after its head moved.
  std::optional<std::pair<OutcomeRecord, Place>> unconfirmed_;

  struct KnownPlan {
    std::shared_ptr<ingest::FramePlan> plan;
    std::optional<multiformats::Multihash> head;  // it holds for
  };
  std::mutex plans_mutex_;
  std::map<std::pair<std::string, std::optional<read::InputFormat>>, KnownPlan> plans_;  // under plans_mutex_

  mutable Mutex mutex_;
  CondVar changed_;
  workspace::Entry entry_ GUARDED_BY(mutex_);
  std::shared_ptr<const odf::ChainState> view_ GUARDED_BY(mutex_);
  WaitingLine waiting_ GUARDED_BY(mutex_);
  std::vector<BatchPtr> committing_ GUARDED_BY(mutex_);
  std::map<std::string, Gate> gates_ GUARDED_BY(mutex_);
  LastCommits commits_of_ GUARDED_BY(mutex_);
  uint64_t next_order_ GUARDED_BY(mutex_) = 1;
  std::optional<uint64_t> barrier_ GUARDED_BY(mutex_);  // batches from here on wait for a change to be made
  std::optional<std::chrono::steady_clock::time_point> due_ GUARDED_BY(mutex_);  // the next commit
  std::chrono::steady_clock::time_point gather_until_ GUARDED_BY(mutex_);        // what nobody waits for
  bool is_late_ GUARDED_BY(mutex_) = false;  // what waits is committed at once: it has waited for long
  std::chrono::steady_clock::time_point grouped_at_ GUARDED_BY(mutex_);  // the last group
  std::chrono::steady_clock::time_point not_before_ GUARDED_BY(mutex_);  // after a failure
  Committers::Ticket ticket_ GUARDED_BY(mutex_) = 0;                     // of `due_`
  std::map<std::string, uint64_t> accounts_ GUARDED_BY(mutex_);  // batches of each that wait or are committed
  bool gone_ GUARDED_BY(mutex_) = false;
  std::string last_error_ GUARDED_BY(mutex_);
  double tokens_ GUARDED_BY(mutex_) = 0;
  std::chrono::steady_clock::time_point tokens_at_ GUARDED_BY(mutex_);
  uint64_t commits_ GUARDED_BY(mutex_) = 0, records_ GUARDED_BY(mutex_) = 0;
};

}  // namespace sluice::gateway

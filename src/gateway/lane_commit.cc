// Committing what a lane has taken, in groups (push-protocol.md 6).
#include <algorithm>
#include <set>
#include <utility>

#include "gateway/lane_internal.h"
#include "ingest/index_sync.h"

namespace sluice::gateway {
namespace {

using std::chrono::steady_clock;

constexpr auto kDurableWindow = std::chrono::seconds(5);  // with ack: durable
// From one commit to the next of what is durable in the queue and was answered: nobody waits for them, and
// each costs nearly the same for one batch as for thousands. So they take an eighth of the time, however long
// one takes, which leaves the rest to a burst. But what has waited for as long as a burst lasts is committed,
// and all that came meanwhile.
constexpr auto kShortestQueueWindow = std::chrono::milliseconds(50);
constexpr int kQueueWindowCommits = 8;
constexpr auto kBurst = std::chrono::seconds(10);
constexpr size_t kMaxGroup = 10'000;
constexpr uint64_t kBatchCost = 512;  // of any batch, beside its bytes, where accounts are compared

// The cause passes: the batch may be tried again as it is.
bool IsPassing(ErrorCode code) {
  return code == ErrorCode::kUnavailable || code == ErrorCode::kResourceExhausted ||
         code == ErrorCode::kCancelled || code == ErrorCode::kTimeout || code == ErrorCode::kCommitUnknown;
}

bool IsJournalled(const Batch& batch) { return batch.key || batch.state || batch.place; }

std::optional<odf::SourceState> Expected(const Batch& batch) {
  if (!batch.expected) return std::nullopt;
  return odf::SourceState{batch.source, batch.expected->kind, batch.expected->value};
}

}  // namespace

SettledBatch EntryOf(const Batch& batch, Outcome outcome) {
  SettledBatch entry;
  entry.source = batch.source;
  if (batch.place) entry.queue_sequence = batch.place->sequence;
  entry.account = batch.account;
  entry.nonce = batch.nonce;
  entry.key = batch.key;
  entry.payload = batch.payload;
  entry.outcome = std::move(outcome);
  return entry;
}

void Lane::PublishView() { view_ = std::make_shared<const odf::ChainState>(dataset_->state()); }

// --- when ---

steady_clock::duration Lane::BudgetDelay() {
  if (shared_.draining || !shared_.options.blocks_per_second) return {};
  const double rate = *shared_.options.blocks_per_second;
  const auto now = steady_clock::now();
  const std::chrono::duration<double> passed = now - tokens_at_;
  tokens_ = std::min(shared_.options.block_burst, tokens_ + passed.count() * rate);
  tokens_at_ = now;
  if (tokens_ >= 1) return {};
  const std::chrono::duration<double> wait((1 - tokens_) / rate);
  return std::chrono::duration_cast<steady_clock::duration>(wait);
}

steady_clock::duration Lane::Window() const {
  if (shared_.draining || barrier_ || waiting_.clients() > 0) return {};
  if (shared_.options.ack_durable) {
    const bool is_full = waiting_.body_bytes() >= shared_.options.group_bytes || waiting_.size() >= kMaxGroup;
    return is_full ? steady_clock::duration::zero() : kDurableWindow;
  }
  if (is_late_) return {};
  return std::max(steady_clock::duration::zero(), gather_until_ - steady_clock::now());
}

void Lane::Schedule() {
  if (gone_) return;
  const auto now = steady_clock::now();
  if (due_ && *due_ <= now) return;
  const auto due = std::max(now + std::max(BudgetDelay(), Window()), not_before_);
  constexpr auto kWorthwhile = std::chrono::milliseconds(1);
  if (due_ && *due_ <= due + kWorthwhile) return;
  due_ = due;
  const std::string first = accounts_.empty() ? "" : accounts_.begin()->first;
  ticket_ = shared_.committers->RunAt(due, first, [self = shared_from_this()] { self->Run(); });
  for (const auto& [account, count] : accounts_) {
    if (account != first) shared_.committers->Join(ticket_, account);
  }
}

// Until a group holds nothing that the one before had to leave.
bool Lane::IsLate(const std::vector<BatchPtr>& group) const {
  if (group.empty()) return false;
  const auto oldest = group.front()->taken_at;
  return oldest + kBurst <= steady_clock::now() || (is_late_ && oldest < grouped_at_);
}

bool Lane::IsReady(const Batch& batch) {
  if (barrier_ && batch.order >= *barrier_) return false;
  // What is queued behind the batch at which its source stands must not overtake it.
  return !gates_[batch.source].stopped;
}

std::vector<BatchPtr> Lane::TakeGroup() {
  std::vector<BatchPtr> group;
  uint64_t bytes = 0;
  const bool fits = waiting_.size() <= kMaxGroup && waiting_.body_bytes() <= shared_.options.group_bytes;
  if (!fits && accounts_.size() > 1) {
    group = ChooseFairly();
    for (const auto& batch : group) waiting_.Remove(batch);
    committing_ = group;
    return group;
  }
  for (auto it = waiting_.begin(); it != waiting_.end() && group.size() < kMaxGroup;) {
    BatchPtr batch = *it;
    if (barrier_ && batch->order >= *barrier_) break;
    if (!IsReady(*batch)) {
      ++it;
      continue;
    }
    if (!group.empty() && bytes + batch->body_bytes > shared_.options.group_bytes) break;
    bytes += batch->body_bytes;
    it = waiting_.Remove(it);
    group.push_back(std::move(batch));
  }
  committing_ = group;
  return group;
}

// Within a source the order holds; of the sources' first ones that of the account goes next which has least
// in the group.
std::vector<BatchPtr> Lane::ChooseFairly() {
  std::map<std::string, std::deque<BatchPtr>> lines;  // by source
  for (const auto& batch : waiting_) {
    if (IsReady(*batch)) lines[batch->source].push_back(batch);
  }
  std::map<std::string, uint64_t> taken;  // by account
  std::vector<BatchPtr> group;
  uint64_t bytes = 0;
  while (group.size() < kMaxGroup && !lines.empty()) {
    const auto next = std::min_element(lines.begin(), lines.end(), [&](const auto& a, const auto& b) {
      const auto& [first, second] = std::pair(a.second.front(), b.second.front());
      return std::pair(taken[first->account], first->order) <
             std::pair(taken[second->account], second->order);
    });
    const BatchPtr batch = next->second.front();
    if (!group.empty() && bytes + batch->body_bytes > shared_.options.group_bytes) break;
    bytes += batch->body_bytes;
    taken[batch->account] += batch->body_bytes + kBatchCost;
    group.push_back(batch);
    next->second.pop_front();
    if (next->second.empty()) lines.erase(next);
  }
  std::sort(group.begin(), group.end(), [](const auto& a, const auto& b) { return a->order < b->order; });
  return group;
}

void Lane::Run() {
  std::vector<BatchPtr> group;
  std::shared_lock turn(shared_.turn);
  std::lock_guard dataset_lock(dataset_mutex_);
  {
    MutexLock lock(mutex_);
    // An earlier time may have been found since this one was set.
    if (gone_ || !due_ || *due_ > steady_clock::now()) return;
    due_.reset();
  }
  const auto started = steady_clock::now();
  const Status resolved = ResolveUnknown();
  {
    MutexLock lock(mutex_);
    group = TakeGroup();
    is_late_ = IsLate(group);
    grouped_at_ = steady_clock::now();
    if (group.empty()) {
      changed_.NotifyAll();
      return;
    }
  }
  std::vector<Settled> settled;
  std::vector<BatchPtr> later;
  std::unique_ptr<index::GuardedIndex> session;
  const Status status = resolved.ok() ? CommitGroup(group, &settled, &later, &session) : resolved;
  if (!status.ok()) {
    shared_.NoteFailure(status.error());
    GiveUp(std::move(group), status.error());
    return;
  }
  shared_.NoteSuccess();
  {
    MutexLock lock(mutex_);
    const steady_clock::duration took = steady_clock::now() - started;
    gather_until_ = started + std::clamp<steady_clock::duration>(took * kQueueWindowCommits,
                                                                 kShortestQueueWindow, kBurst);
  }
  Finish(std::move(settled), std::move(later));
  // Nobody has to wait for it.
  if (session) ingest::UpdateIndexes(*session, *dataset_, nullptr);
}

// --- one group ---

// The body of a batch that lies in the queue alone.
Status Lane::Load(Batch& batch) const {
  if (batch.body) return {};
  ASSIGN_OR_RETURN(auto queued, shared_.journal()->Read(*batch.place));
  batch.body = std::make_shared<const std::string>(std::move(queued.body));
  return {};
}

// A queued batch with a state that can never be committed: its source stands still at it.
bool Lane::StopsSource(const Batch& batch, const Error& error) {
  return batch.place && batch.state && error.code() != ErrorCode::kNotFound;
}

Status Lane::PrepareGroup(const std::vector<BatchPtr>& group, std::vector<Settled>* settled,
                          std::vector<BatchPtr>* members, std::vector<BatchPtr>* later) {
  const auto& state = dataset_->state();
  ReadQueuedTogether(group, state);
  std::set<std::pair<std::string, Digest>> keys;
  for (const auto& batch : group) {
    // A key that came twice (a log that was opened anew brought it again): the second waits for the first's
    // outcome.
    if (batch->key && !keys.emplace(batch->source, *batch->key).second) {
      later->push_back(batch);
      continue;
    }
    // While there is no schema, the first batch with rows decides it alone.
    if (!later->empty()) {
      later->push_back(batch);
      continue;
    }
    const auto source = state.push_sources.find(batch->source);
    if (source == state.push_sources.end() || source->second.activated_at != batch->activation) {
      settled->push_back({batch, std::nullopt,
                          Refusal{.error = NotFound("push source '{}' was disabled after the batch was taken",
                                                    batch->source)}});
      continue;
    }
    if (batch->key) {  // the answer to its first coming may have been lost between taking and here
      if (auto first = shared_.journal()->FindKey(state.dataset_id, batch->source, *batch->key)) {
        first->outcome.duplicate = true;
        settled->push_back({batch, std::move(first->outcome), std::nullopt, true});
        continue;
      }
    }
    auto plan = PlanOf(batch->source, batch->format, state);
    if (!batch->ready || !plan.ok() || batch->ready->plan != *plan) {
      RETURN_IF_ERROR(Load(*batch));
      Refusal refusal{.error = Internal("refused")};
      if (auto status = MakeReady(*batch, state, &refusal); !status.ok()) {
        if (IsPassing(status.error().code())) return status;
        // Nothing overtakes a batch at which its source stands still.
        if (StopsSource(*batch, refusal.error)) later->push_back(nullptr);
        settled->push_back({batch, std::nullopt, std::move(refusal)});
        continue;
      }
    }
    members->push_back(batch);
    if (!state.schema && batch->ready->schema) later->push_back(nullptr);
  }
  std::erase(*later, nullptr);
  return {};
}

Outcome Lane::OutcomeOf(const Batch& batch, const ingest::IngestOutcome& ingested) const {
  Outcome outcome;
  outcome.status = ingested.status == ingest::IngestStatus::kUpToDate ? Outcome::Status::kUpToDate
                                                                      : Outcome::Status::kCommitted;
  outcome.source = batch.source;
  outcome.duplicate = ingested.status == ingest::IngestStatus::kDuplicate;
  outcome.old_head = ingested.old_head;
  outcome.new_head = ingested.new_head;
  outcome.block_hash = ingested.block_hash;
  outcome.sequence = ingested.sequence;
  outcome.offsets = ingested.offsets;
  outcome.received = ingested.records_read;
  outcome.added = ingested.records_added;
  outcome.state = batch.state;
  outcome.watermark = ingested.watermark;
  outcome.receipt = batch.receipt;
  return outcome;
}

OutcomeRecord Lane::RecordOf(const std::vector<BatchPtr>& members, const ingest::GroupResult& result) const {
  OutcomeRecord record;
  record.kind = result.commit ? OutcomeRecord::Kind::kCommit : OutcomeRecord::Kind::kSettled;
  record.dataset = dataset_->state().dataset_id;
  record.time = shared_.clock->Now();
  record.old_head = dataset_->head();
  record.sequence = dataset_->state().sequence;
  if (result.commit) {
    record.old_head = result.commit->old_head;
    record.new_head = result.commit->new_head;
    record.sequence = result.commit->sequence;
  }
  for (size_t i = 0; i < members.size(); ++i) {
    if (!result.outcomes[i].ok() || !IsJournalled(*members[i])) continue;
    record.batches.push_back(EntryOf(*members[i], OutcomeOf(*members[i], *result.outcomes[i])));
  }
  return record;
}

Status Lane::MergeGroup(const std::vector<BatchPtr>& members, index::GuardedIndex& session,
                        std::vector<Settled>* settled, std::vector<BatchPtr>* later) {
  std::vector<ingest::GroupBatch> batches;
  for (const auto& batch : members) {
    ingest::GroupBatch one;
    one.ready = *batch->ready;
    one.activation = batch->activation;
    one.fallback_event_time = batch->event_time.value_or(batch->received);
    one.holds_up = batch->place && batch->state;
    if (batch->state)
      one.state = ingest::GroupBatch::StateChange{batch->state->kind, batch->state->value, Expected(*batch)};
    batches.push_back(std::move(one));
  }
  ingest::GroupContext context;
  context.dataset = dataset_.get();
  context.session = &session;
  context.clock = shared_.clock;
  context.temp_folder = scratch_->folder();
  const auto journal = shared_.journal();
  OutcomeRecord record;
  std::optional<Place> place;
  const auto write = [&](const ingest::GroupResult& result) -> Status {
    record = RecordOf(members, result);
    if (record.batches.empty()) return {};
    ASSIGN_OR_RETURN(place, journal->Append(record));
    return {};
  };
  auto committed = ingest::CommitGroup(context, std::move(batches), write);
  if (!committed.ok()) {
    if (place) unconfirmed_.emplace(std::move(record), *place);
    return std::move(committed).error();
  }
  auto result = std::move(committed).value();
  {
    // Before the queue shows them gone: who sees it empty finds all records counted.
    MutexLock lock(mutex_);
    if (result.commit) {
      ++commits_;
      tokens_ -= 1;
    }
    for (const auto& outcome : result.outcomes) {
      if (outcome.ok()) records_ += static_cast<uint64_t>(outcome->records_added);
    }
  }
  if (!result.commit) RETURN_IF_ERROR(write(result));
  if (place) journal->Confirm(record, *place);
  for (size_t i = 0; i < members.size(); ++i) {
    if (result.outcomes[i].ok()) {
      settled->push_back({members[i], OutcomeOf(*members[i], *result.outcomes[i]), std::nullopt});
    } else if (result.outcomes[i].error().code() == ErrorCode::kUnavailable) {
      later->push_back(members[i]);
    } else {
      settled->push_back({members[i], std::nullopt, Refusal{.error = result.outcomes[i].error()}});
    }
  }
  return {};
}

Status Lane::CommitGroup(std::vector<BatchPtr> group, std::vector<Settled>* settled,
                         std::vector<BatchPtr>* later, std::unique_ptr<index::GuardedIndex>* session) {
  // A batch whose place in the queue could be lost must not have an outcome.
  std::optional<Place> last;
  for (const auto& batch : group) {
    if (batch->place && (!last || batch->place->sequence > last->sequence)) last = batch->place;
  }
  if (last) RETURN_IF_ERROR(shared_.journal()->WaitFor(*last));
  ASSIGN_OR_RETURN(*session, shared_.workspace->BeginCommit(entry().id));
  RETURN_IF_ERROR(RefreshLocked());
  std::vector<BatchPtr> members;
  RETURN_IF_ERROR(PrepareGroup(group, settled, &members, later));
  if (!members.empty()) RETURN_IF_ERROR(MergeGroup(members, **session, settled, later));
  return SettleFailures(settled);
}

// --- what failed ---

// A queued batch that can never be committed goes to the dead letters.
Status Lane::Bury(const Batch& batch, const Error& error, OutcomeRecord* record) {
  ASSIGN_OR_RETURN(auto queued, shared_.journal()->Read(*batch.place));
  DeadLetter letter;
  letter.receipt = batch.receipt;
  letter.source = batch.source;
  letter.account = batch.account;
  letter.reason = error.ToString();
  letter.received = batch.received;
  letter.failed = shared_.clock->Now();
  RETURN_IF_ERROR(shared_.dead_letters->Add(record->dataset, letter, queued.batch, queued.body));
  shared_.Tell({GatewayEvent::Kind::kDeadLetter, entry().alias, batch.source, batch.receipt, letter.reason});
  Outcome outcome;
  outcome.status = Outcome::Status::kFailed;
  outcome.error_code = error.code();
  outcome.error_message = error.ToString();
  record->batches.push_back(EntryOf(batch, std::move(outcome)));
  return {};
}

Status Lane::SettleFailures(std::vector<Settled>* settled) {
  OutcomeRecord record;
  record.kind = OutcomeRecord::Kind::kSettled;
  record.dataset = dataset_->state().dataset_id;
  record.time = shared_.clock->Now();
  for (auto& one : *settled) {
    if (one.is_unrecorded && one.batch->place) record.batches.push_back(EntryOf(*one.batch, *one.outcome));
    if (!one.refusal || !one.batch->place) continue;
    if (StopsSource(*one.batch, one.refusal->error)) continue;
    RETURN_IF_ERROR(Bury(*one.batch, one.refusal->error, &record));
  }
  if (record.batches.empty()) return {};
  const auto journal = shared_.journal();
  ASSIGN_OR_RETURN(const Place place, journal->Append(record));
  journal->Confirm(record, place);
  return {};
}

void Lane::Finish(std::vector<Settled> settled, std::vector<BatchPtr> later) {
  std::vector<std::function<void()>> calls;
  {
    MutexLock lock(mutex_);
    PublishView();
    last_error_.clear();
    committing_.clear();
    const auto stops = [](const Settled& one) {
      return one.refusal && StopsSource(*one.batch, one.refusal->error);
    };
    // The first of those that fail tells where its source stands, and why.
    std::stable_sort(settled.begin(), settled.end(),
                     [](const auto& a, const auto& b) { return a.batch->order < b.batch->order; });
    std::vector<BatchPtr> back = std::move(later);
    for (const auto& one : settled) {
      if (stops(one)) back.push_back(one.batch);
    }
    waiting_.PutBack(std::move(back));
    for (auto& one : settled) {
      Gate& gate = gates_[one.batch->source];
      if (one.outcome) NoteCommit(one.batch->source, *one.outcome);
      if (one.refusal) {
        if (!gate.stopped) gate.last_error = one.refusal->error.ToString();
        if (one.refusal->error.code() == ErrorCode::kPrecondition && !one.refusal->states)
          one.refusal->states = Precondition(gate, *one.batch, *view_).states;
      }
      if (stops(one)) {
        if (!gate.stopped) {
          gate.stopped = one.batch;
          shared_.Tell({GatewayEvent::Kind::kSourceStopped, entry_.alias, one.batch->source,
                        one.batch->receipt, gate.last_error});
        }
        one.refusal = Stopped(gate, one.batch->source);
        one.outcome.reset();
      } else {
        Leave(one.batch);
      }
      Tell(one, &calls);
    }
    RefuseBehindStopped(&calls);
    if (!waiting_.empty()) Schedule();
    changed_.NotifyAll();
  }
  for (const auto& call : calls) call();
}

void Lane::Tell(const Settled& settled, std::vector<std::function<void()>>* calls) {
  for (auto& waiter : settled.batch->waiters) {
    if (!settled.outcome) {
      calls->push_back([done = std::move(waiter.done), refusal = *settled.refusal] { done(refusal); });
      continue;
    }
    Outcome outcome = *settled.outcome;
    outcome.duplicate = outcome.duplicate || waiter.is_repeat;
    calls->push_back([done = std::move(waiter.done), outcome = std::move(outcome)] { done(outcome); });
  }
  settled.batch->waiters.clear();
  for (auto& call : settled.batch->afterwards) calls->push_back(std::move(call));
  settled.batch->afterwards.clear();
}

void Lane::RefuseBehindStopped(std::vector<std::function<void()>>* calls) {
  if (std::none_of(gates_.begin(), gates_.end(), [](const auto& gate) { return gate.second.stopped; }))
    return;
  const auto waiting = waiting_;
  for (const auto& batch : waiting) {
    const Gate& gate = gates_[batch->source];
    if (!gate.stopped) continue;
    for (auto& waiter : batch->waiters)
      calls->push_back(
          [done = std::move(waiter.done), refusal = Stopped(gate, batch->source)] { done(refusal); });
    batch->waiters.clear();
    waiting_.Await(batch, false);
    if (batch->place) continue;
    Leave(batch);
    for (auto& call : batch->afterwards) calls->push_back(std::move(call));
    batch->afterwards.clear();
  }
}

// Nothing was committed, and the cause may pass. Clients that wait are told; queued batches stay, and so do
// those that queued ones build on.
void Lane::GiveUp(std::vector<BatchPtr> group, const Error& error) {
  std::vector<std::function<void()>> calls;
  {
    MutexLock lock(mutex_);
    last_error_ = error.ToString();
    committing_.clear();
    waiting_.PutBack(group);
    const auto is_built_on = [&](const BatchPtr& batch) {
      return batch->state && std::any_of(waiting_.begin(), waiting_.end(), [&](const auto& other) {
               return other->place && other->source == batch->source && other->order > batch->order;
             });
    };
    for (const auto& batch : group) {
      for (auto& waiter : batch->waiters) {
        calls.push_back([done = std::move(waiter.done), error] {
          done(Busy(Error(ErrorCode::kUnavailable, error.ToString()), kRetrySoonSeconds));
        });
      }
      batch->waiters.clear();
      for (auto& call : batch->afterwards) calls.push_back(std::move(call));
      batch->afterwards.clear();
      if (!batch->place && !is_built_on(batch)) Leave(batch);
    }
    not_before_ = steady_clock::now() + shared_.options.retry_after_failure;
    if (!waiting_.empty()) Schedule();
    changed_.NotifyAll();
  }
  for (const auto& call : calls) call();
}

}  // namespace sluice::gateway

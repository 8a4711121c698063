// What operators see of a lane and do to it.
#include <algorithm>

#include "gateway/lane_internal.h"

namespace sluice::gateway {
namespace {

constexpr auto kPatience = std::chrono::seconds(2);  // holds one of the server's threads

// Of the batch that a dead letter becomes: its own, so that a client that repeats it doubles nothing, and one
// that no client can give, because theirs are visible ASCII. That is for a letter without a key, and for one
// whose key was used again since, for other content.
std::vector<Digest> RetryKeys(const QueuedBatch& batch, const std::string& receipt) {
  std::vector<Digest> keys;
  if (batch.key) keys.push_back(*batch.key);
  keys.push_back(KeyDigest("retry\n" + receipt));
  return keys;
}

Outcome QueuedAgain(const Place& place) {
  Outcome outcome;
  outcome.status = Outcome::Status::kQueued;
  outcome.sequence = place.sequence;
  return outcome;
}

Error NoSuchSource(const std::string& name, const odf::ChainState& chain) {
  std::string names;
  for (const auto& [other, source] : chain.push_sources) names += (names.empty() ? "" : ", ") + other;
  if (chain.polling_source) {
    return NotFound("dataset has no source named '{}'; its polling source is called '{}'", name,
                    odf::kPollingSourceName);
  }
  return NotFound("dataset has no push source named '{}'{}", name,
                  names.empty() ? "" : "; its push sources are: " + names);
}

SourceView ViewOf(const odf::ChainState::PollingSource& source) {
  SourceView shown;
  shown.name = odf::kPollingSourceName;
  shown.is_polling = true;
  shown.read = source.event.read;
  shown.merge = source.event.merge;
  if (source.state) shown.committed = shown.accepted = State{source.state->kind, source.state->value};
  shown.state_sequence = shown.last_sequence = source.state_sequence;
  return shown;
}

}  // namespace

void Lane::NoteCommit(const std::string& source, const Outcome& outcome) {
  if (outcome.status != Outcome::Status::kCommitted || outcome.duplicate) return;
  if (outcome.block_hash && outcome.sequence)
    commits_of_.Note(source, {*outcome.block_hash, *outcome.sequence});
}

SourceView Lane::ViewOf(const std::string& name, const odf::ChainState::PushSource& source) {
  SourceView shown;
  shown.name = name;
  shown.read = source.event.read;
  shown.merge = source.event.merge;
  shown.committed = Committed(name, *view_);
  shown.state_sequence = source.state_sequence;
  shown.state_block = source.state_block;
  if (const auto last = commits_of_.Of(name); last.block) {
    shown.last_sequence = last.block->sequence;
    shown.last_block = last.block->hash;
  }
  const Gate& gate = GateOf(name, *view_);
  shown.accepted = DurableAccepted(gate, name, *view_);
  shown.last_error = gate.last_error;
  if (gate.stopped) shown.stopped = gate.stopped->receipt;
  for (const auto& batch : committing_) {
    if (batch->source == name && batch->place) ++shown.queued;
  }
  for (const auto& batch : waiting_) {
    if (batch->source != name || !batch->place) continue;
    ++shown.queued;
    shown.queued_bytes += batch->body_bytes;
    if (!shown.oldest || batch->received < *shown.oldest) shown.oldest = batch->received;
  }
  return shown;
}

Result<std::vector<SourceView>> Lane::Sources(const std::optional<std::string>& name) {
  MutexLock lock(mutex_);
  const bool is_polling = view_->polling_source && name.value_or("") == odf::kPollingSourceName;
  if (name && !is_polling && !view_->push_sources.contains(*name)) return NoSuchSource(*name, *view_);
  // States are told when they are durable: what is being committed now is waited for.
  std::vector<BatchPtr> unsure;
  for (const auto& [source, gate] : gates_) {
    if ((!name || source == *name) && gate.accepted_by && !gate.accepted_by->is_durable)
      unsure.push_back(gate.accepted_by);
  }
  changed_.WaitFor(mutex_, kPatience, [&] {
    return !shared_.reopening && std::all_of(unsure.begin(), unsure.end(), [](const auto& batch) {
      return batch->is_settled || batch->is_durable;
    });
  });
  if (shared_.reopening)
    return MakeError(ErrorCode::kUnavailable, "the node's log is being read again; try again");
  std::vector<SourceView> views;
  for (const auto& [source_name, source] : view_->push_sources) {
    if (!name || source_name == *name) views.push_back(ViewOf(source_name, source));
  }
  if (view_->polling_source && (!name || is_polling))
    views.push_back(gateway::ViewOf(*view_->polling_source));
  // While it waited, the source may have been disabled.
  if (name && views.empty()) return NoSuchSource(*name, *view_);
  return views;
}

DatasetStatus Lane::status() {
  DatasetStatus status;
  auto sources = Sources(std::nullopt);
  if (sources.ok()) status.sources = std::move(*sources);
  MutexLock lock(mutex_);
  status.entry = entry_;
  status.waiting = waiting_.size() + committing_.size();
  status.last_error = last_error_;
  status.commits = commits_;
  status.records = records_;
  status.dead_letters = shared_.dead_letters->Count(entry_.id);
  return status;
}

Gateway::Counts Lane::counts() const {
  MutexLock lock(mutex_);
  return {entry_.alias, commits_, records_};
}

Status Lane::CheckNoneStopped(const std::optional<std::string>& source) const {
  for (const auto& [name, gate] : gates_) {
    if (!gate.stopped || (source && name != *source)) continue;
    return MakeError(ErrorCode::kUnavailable,
                     "source '{}' stands still at batch {}: {}; 'sluice queue retry|drop' it first, or give "
                     "up what is queued with --drop-queue",
                     name, gate.stopped->receipt, gate.last_error);
  }
  return {};
}

Status Lane::DropQueued() {
  std::vector<std::string> receipts;
  {
    MutexLock lock(mutex_);
    for (const auto& batch : waiting_) {
      if (batch->place) receipts.push_back(batch->receipt);
    }
  }
  for (const auto& receipt : receipts) {
    auto dropped = Drop(receipt);
    if (!dropped.ok() && dropped.error().code() != ErrorCode::kNotFound) return dropped;
  }
  return {};
}

bool Lane::IsSettledBefore(uint64_t order) const {
  return committing_.empty() && std::ranges::all_of(waiting_, [&](const BatchPtr& batch) {
           const auto gate = gates_.find(batch->source);
           return batch->order >= order || (gate != gates_.end() && gate->second.stopped);
         });
}

Status Lane::TakePlace(const Exclusive& how) {
  const auto deadline = std::chrono::steady_clock::now() + how.wait;
  const auto left = [&] { return deadline - std::chrono::steady_clock::now(); };
  MutexLock lock(mutex_);
  const auto busy = [&](std::string_view what) {
    return MakeError(ErrorCode::kUnavailable,
                     "dataset '{}': {}; try again, or give up what is queued with "
                     "--drop-queue",
                     entry_.alias, what);
  };
  if (!changed_.WaitFor(mutex_, left(), [this] { return !barrier_; }))
    return busy("another change takes too long");
  RETURN_IF_ERROR(CheckNoneStopped(how.adds_to));
  barrier_ = next_order_;
  if (!waiting_.empty()) Schedule();
  // A source may come to a stand at what was taken before.
  Status settled;
  if (changed_.WaitFor(mutex_, left(),
                       [&] { return !CheckNoneStopped(how.adds_to).ok() || IsSettledBefore(*barrier_); })) {
    settled = CheckNoneStopped(how.adds_to);
  } else {
    settled = busy("what was taken before is not committed yet" +
                   (last_error_.empty() ? std::string() : " (" + last_error_ + ")"));
  }
  if (!settled.ok()) LeavePlace();
  return settled;
}

void Lane::LeavePlace() {
  barrier_.reset();
  if (!waiting_.empty()) Schedule();
  changed_.NotifyAll();
}

Status Lane::RunExclusive(const Exclusive& how, bool alone, const std::function<Status()>& change) {
  if (how.drop_queue) RETURN_IF_ERROR(DropQueued());
  RETURN_IF_ERROR(TakePlace(how));
  Status status;
  {
    std::shared_lock shared_turn(shared_.turn, std::defer_lock);
    std::unique_lock own_turn(shared_.turn, std::defer_lock);
    if (alone) {
      own_turn.lock();
    } else {
      shared_turn.lock();
    }
    std::lock_guard lock(dataset_mutex_);
    // What the journal holds of a commit before must be decided first: a record behind it would make it seem
    // to have come to be.
    status = ResolveUnknown();
    if (status.ok()) status = change();
    bool gone;
    {
      MutexLock lane_lock(mutex_);
      gone = gone_;
    }
    if (!gone) {
      auto refreshed = ResolveUnknown();
      if (refreshed.ok()) refreshed = RefreshLocked(how.adds_to);
      if (status.ok()) status = std::move(refreshed);
    }
  }
  MutexLock lock(mutex_);
  LeavePlace();
  return status;
}

// The turn of a commit that is not of pushed batches.
class Lane::HeldTurn final : public index::GuardedIndex {
 public:
  explicit HeldTurn(std::shared_ptr<Lane> lane)
      : lane_(std::move(lane)), others_(lane_->shared_.turn), dataset_(lane_->dataset_mutex_) {}
  ~HeldTurn() override {
    if (!session_) return;
    session_.reset();
    if (auto status = lane_->RefreshLocked(); !status.ok()) lane_->shared_.NoteFailure(status.error());
  }
  Status Begin() {
    RETURN_IF_ERROR(lane_->ResolveUnknown());
    ASSIGN_OR_RETURN(session_, lane_->shared_.workspace->BeginCommit(lane_->entry().id));
    return {};
  }
  Result<index::KeyIndex*> Index() override { return session_->Index(); }

 private:
  const std::shared_ptr<Lane> lane_;
  std::shared_lock<Turn> others_;
  std::unique_lock<std::mutex> dataset_;
  std::unique_ptr<index::GuardedIndex> session_;
};

Result<std::unique_ptr<index::GuardedIndex>> Lane::BeginCommit() {
  if (shared_.draining) return MakeError(ErrorCode::kUnavailable, "the node is shutting down");
  auto turn = std::make_unique<HeldTurn>(shared_from_this());
  RETURN_IF_ERROR(turn->Begin());
  return std::unique_ptr<index::GuardedIndex>(std::move(turn));
}

Result<workspace::CompactOutcome> Lane::Compact(workspace::CompactOptions options) {
  constexpr auto kSettleTime = std::chrono::minutes(5);
  const auto journal = shared_.journal();
  OutcomeRecord record;
  record.kind = OutcomeRecord::Kind::kReplaced;
  const auto compacted = entry();
  record.dataset = compacted.id;
  std::optional<Place> place;
  options.before_head = [&](const workspace::Replacement& replacement) -> Status {
    record.time = shared_.clock->Now();
    record.old_head = replacement.old_head;
    record.new_head = replacement.new_head;
    record.sequence = replacement.sequence;
    record.successors = replacement.successors;
    record.blocks = replacement.blocks;
    ASSIGN_OR_RETURN(place, journal->Append(record));
    return {};
  };
  workspace::CompactOutcome outcome;
  RETURN_IF_ERROR(RunExclusive({.wait = kSettleTime}, false, [&]() -> Status {
    auto done = workspace::Compact(*shared_.workspace, compacted, options);
    if (!done.ok()) {
      // What it did is found out here, or by whoever commits next.
      if (place) unconfirmed_.emplace(record, *place);
      return std::move(done).error();
    }
    if (place) {
      journal->Confirm(record, *place);
      MutexLock lock(mutex_);
      commits_of_.Replace(record.successors, record.blocks);
    }
    outcome = *done;
    return {};
  }));
  return outcome;
}

Result<std::string> Lane::Retry(const std::string& receipt) {
  {
    MutexLock lock(mutex_);
    for (auto& [name, gate] : gates_) {
      if (!gate.stopped || gate.stopped->receipt != receipt) continue;
      gate.stopped->ready.reset();
      gate.stopped = nullptr;
      Schedule();
      return receipt;
    }
  }
  std::lock_guard lock(letters_mutex_);
  return RetryLetter(receipt);
}

Result<std::string> Lane::RetryLetter(const std::string& receipt) {
  if (shared_.reopening)
    return MakeError(ErrorCode::kUnavailable, "the node's log is being read again; try again");
  const auto id = entry().id;
  ASSIGN_OR_RETURN(auto letter, shared_.dead_letters->Read(id, receipt));
  const auto chain = view();
  auto source = chain->push_sources.find(letter.batch.source);
  if (source == chain->push_sources.end())
    return NotFound("push source '{}' of the dead letter is not active: add it again first",
                    letter.batch.source);
  letter.batch.activation = source->second.activated_at;
  // Taken as a new batch: its first outcome stands, and the old state means nothing any more. By its key what
  // was queued, and not removed here before a crash, is not queued again.
  letter.batch.state.reset();
  letter.batch.expected.reset();
  const auto keys = RetryKeys(letter.batch, receipt);
  letter.batch.key.reset();
  std::optional<Outcome> retried;
  for (const auto& key : keys) {
    auto found = FindRetried(letter.batch.source, key);
    if (!found && !letter.batch.key) letter.batch.key = key;
    if (found && found->payload == letter.batch.payload && !retried) retried = std::move(found->outcome);
  }
  if (retried) {
    // One that was not queued has no receipt of its own.
    const std::string receipt_now = retried->receipt.empty() ? receipt : retried->receipt;
    if (retried->status == Outcome::Status::kQueued) {
      if (retried->receipt.empty())
        return MakeError(ErrorCode::kUnavailable, "its client repeats this batch just now; try again");
      retried->sequence = shared_.journal()->QueueSequenceOf(receipt_now);
    }
    retried->state.reset();  // the source's has been another since
    RETURN_IF_ERROR(SettleLetter(receipt, letter.batch, std::move(*retried)));
    return receipt_now;
  }
  const auto journal = shared_.journal();
  ASSIGN_OR_RETURN(const Place place, journal->Enqueue(letter.batch, letter.body));
  RETURN_IF_ERROR(journal->WaitFor(place));
  AddQueued(place, {letter.batch, "", letter.body.size()});
  // It is taken, whether the letter goes or not: repeated, this finds the batch.
  (void)SettleLetter(receipt, letter.batch, QueuedAgain(place)).ok();
  return journal->ReceiptOf(place, letter.batch.nonce);
}

Status Lane::SettleLetter(const std::string& receipt, const QueuedBatch& batch, Outcome outcome) {
  OutcomeRecord record;
  record.kind = OutcomeRecord::Kind::kSettled;
  record.dataset = entry().id;
  record.time = shared_.clock->Now();
  const auto journal = shared_.journal();
  // A letter outlives the log that its receipt is of.
  if (const auto sequence = journal->QueueSequenceOf(receipt)) {
    SettledBatch entry;
    entry.source = batch.source;
    entry.queue_sequence = *sequence;
    entry.account = batch.account;
    entry.nonce = batch.nonce;
    entry.payload = batch.payload;
    entry.outcome = std::move(outcome);
    record.batches.push_back(std::move(entry));
    ASSIGN_OR_RETURN(const Place place, journal->Append(record));
    journal->Confirm(record, place);
  }
  return shared_.dead_letters->Remove(record.dataset, receipt);
}

std::optional<FirstAnswer> Lane::FindRetried(const std::string& source, const Digest& key) {
  {
    MutexLock lock(mutex_);
    const auto& running = gates_[source].running_keys;
    if (auto it = running.find(KeyText(key)); it != running.end()) {
      FirstAnswer first{it->second->payload, {}};
      first.outcome.status = Outcome::Status::kQueued;
      first.outcome.receipt = it->second->receipt;
      return first;
    }
  }
  return shared_.journal()->FindKey(entry().id, source, key);
}

void Lane::RemoveRetried(const std::vector<std::pair<Place, Journal::Queued>>& queued) {
  const auto id = entry().id;
  const bool has_keys =
      std::any_of(queued.begin(), queued.end(), [](const auto& one) { return one.second.batch.key; });
  if (!has_keys) return;
  for (const auto& receipt : shared_.dead_letters->Receipts(id)) {
    const auto letter = shared_.dead_letters->Read(id, receipt);
    if (!letter.ok()) continue;
    const auto keys = RetryKeys(letter->batch, receipt);
    const auto again = std::find_if(queued.begin(), queued.end(), [&](const auto& one) {
      const auto& batch = one.second.batch;
      return batch.key && std::ranges::find(keys, *batch.key) != keys.end() &&
             batch.source == letter->batch.source && batch.payload == letter->batch.payload;
    });
    if (again != queued.end()) (void)SettleLetter(receipt, letter->batch, QueuedAgain(again->first)).ok();
  }
}

Status Lane::Drop(const std::string& receipt) {
  OutcomeRecord record;
  record.kind = OutcomeRecord::Kind::kSettled;
  std::vector<BatchPtr> dropped;
  std::vector<std::function<void()>> calls;
  {
    MutexLock lock(mutex_);
    record.dataset = entry_.id;
    record.time = shared_.clock->Now();
    for (const auto& batch : waiting_) {
      const bool builds_on = !dropped.empty() && batch->state && batch->source == dropped.front()->source;
      if ((dropped.empty() && batch->place && batch->receipt == receipt) ||
          (builds_on && dropped.front()->state)) {
        dropped.push_back(batch);
      }
    }
    for (const auto& batch : dropped) {
      Outcome outcome;
      outcome.status = Outcome::Status::kDropped;
      SettledBatch entry = EntryOf(*batch, std::move(outcome));
      entry.key.reset();  // free for another batch
      if (batch->place) record.batches.push_back(std::move(entry));
    }
    if (!dropped.empty()) {
      ASSIGN_OR_RETURN(const Place place, shared_.journal()->Append(record));
      shared_.journal()->Confirm(record, place);
      for (const auto& batch : dropped) {
        Leave(batch);
        const Refusal refusal = Precondition(gates_[batch->source], *batch, *view_);
        for (auto& waiter : batch->waiters)
          calls.push_back([done = std::move(waiter.done), refusal] { done(refusal); });
        for (auto& call : batch->afterwards) calls.push_back(std::move(call));
      }
      if (!waiting_.empty()) Schedule();
      changed_.NotifyAll();
    }
  }
  for (const auto& call : calls) call();
  if (!dropped.empty()) return {};
  std::lock_guard lock(letters_mutex_);
  ASSIGN_OR_RETURN(auto letter, shared_.dead_letters->Read(entry().id, receipt));
  Outcome outcome;
  outcome.status = Outcome::Status::kDropped;
  return SettleLetter(receipt, letter.batch, std::move(outcome));
}

std::vector<std::function<void()>> Lane::TurnAllAway(const Error& error) {
  std::vector<std::function<void()>> calls;
  const auto all = waiting_;
  for (const auto& batch : all) {
    Leave(batch);
    for (auto& waiter : batch->waiters)
      calls.push_back([done = std::move(waiter.done), error] { done(Busy(error, kRetrySoonSeconds)); });
    batch->waiters.clear();
    for (auto& call : batch->afterwards) calls.push_back(std::move(call));
    batch->afterwards.clear();
  }
  changed_.NotifyAll();
  return calls;
}

void Lane::DropQueuedFromMemory() {
  std::vector<std::function<void()>> calls;
  {
    MutexLock lock(mutex_);
    calls = TurnAllAway(MakeError(ErrorCode::kUnavailable, "the disk failed the node's log; try again"));
  }
  for (const auto& call : calls) call();
}

void Lane::Hurry() {
  MutexLock lock(mutex_);
  not_before_ = {};
  if (!waiting_.empty()) Schedule();
}

bool Lane::is_idle() const {
  MutexLock lock(mutex_);
  const auto stands_still = [&](const BatchPtr& batch) {
    const auto gate = gates_.find(batch->source);
    return gate != gates_.end() && gate->second.stopped;
  };
  return committing_.empty() && std::all_of(waiting_.begin(), waiting_.end(), stands_still);
}

void Lane::Abandon(const Error& error) {
  std::vector<std::function<void()>> calls;
  {
    MutexLock lock(mutex_);
    gone_ = true;
    calls = TurnAllAway(error);
  }
  for (const auto& call : calls) call();
}

}  // namespace sluice::gateway

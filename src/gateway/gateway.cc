#include "gateway/gateway.h"

#include <algorithm>
#include <condition_variable>
#include <set>
#include <thread>

#include "base/cancel.h"
#include "gateway/lane_internal.h"

namespace sluice::gateway {
namespace {

using multiformats::DatasetId;

constexpr auto kProbeInterval = std::chrono::seconds(1);
constexpr int kTryPause = 20;  // times as long as opening what cannot be opened took
constexpr auto kPoll = std::chrono::milliseconds(20);
constexpr auto kTakeBackPause = std::chrono::milliseconds(200);

class GatewayImpl final : public Gateway {
 public:
  GatewayImpl(workspace::Workspace& workspace, const Clock& clock, const GatewayOptions& options) {
    shared_.workspace = &workspace;
    shared_.clock = &clock;
    shared_.options = options;
    shared_.memory = std::make_unique<Shares>(options.max_waiting_bytes);
    shared_.queue = std::make_unique<Shares>(options.journal.max_queue_bytes);
    shared_.dead_letters = std::make_unique<gateway::DeadLetters>(workspace.root() + "/dead-letters");
  }
  ~GatewayImpl() override;

  Status Start();

  void Push(const workspace::Entry& dataset, PushRequest request,
            std::function<void(PushAnswer)> done) override;
  Result<std::vector<SourceView>> Sources(const workspace::Entry& dataset,
                                          const std::optional<std::string>& name) override;
  Result<std::optional<Journal::ReceiptAnswer>> FindReceipt(const std::string& receipt) const override {
    return shared_.journal()->FindReceipt(receipt);
  }
  std::optional<Refusal> Try(const workspace::Entry& dataset, const odf::AddPushSource& source,
                             const PushRequest& request) override;
  Status RunExclusive(const workspace::Entry& dataset, const Exclusive& how,
                      const std::function<Status()>& change) override;
  Result<std::unique_ptr<index::GuardedIndex>> BeginCommit(const workspace::Entry& dataset) override;
  void NoteDeleted(const workspace::Entry& dataset) override;
  Result<workspace::CompactOutcome> Compact(const workspace::Entry& dataset,
                                            const workspace::CompactOptions& options) override;
  Status StepAside(const std::optional<workspace::Entry>& dataset, const Exclusive& how,
                   const std::function<void()>& released) override;
  std::vector<Counts> counts() const override;
  std::vector<DatasetStatus> status() const override;
  Result<std::vector<DeadLetter>> DeadLetters(const workspace::Entry& dataset) const override {
    return shared_.dead_letters->List(dataset.id);
  }
  Result<std::string> Retry(const workspace::Entry& dataset, const std::string& receipt) override;
  Status Drop(const workspace::Entry& dataset, const std::string& receipt) override;
  Status health() const override { return shared_.health(); }
  Journal::Stats journal_stats() const override { return shared_.journal()->stats(); }
  uint64_t waiting_bytes() const override { return shared_.memory->total(); }
  std::map<std::string, TenantUse> tenants() const override;
  void Drain(std::chrono::milliseconds grace) override;

 private:
  Result<std::shared_ptr<Lane>> LaneOf(const workspace::Entry& dataset);
  std::vector<std::shared_ptr<Lane>> Lanes() const;
  using QueuedAt = std::pair<Place, Journal::Queued>;
  Status LoadQueue();
  Status SettleOrphans(const DatasetId& id, const std::vector<QueuedAt>& orphans);
  // With mutex_ held: what the journal has pending to left_; what is left for a lane to it.
  void CollectPending();
  void HandOver(Lane& lane, const DatasetId& id);
  void Probe(std::stop_token stop);
  // Once more, those that could not be opened.
  void TryUnopened();

  mutable Shared shared_;
  std::mutex opening_mutex_;  // one lane is opened at a time; before mutex_
  mutable std::mutex mutex_;
  std::map<DatasetId, std::shared_ptr<Lane>> lanes_;  // under mutex_
  // Queued batches whose lanes are not open, and datasets that could not be opened; under mutex_.
  std::map<DatasetId, std::vector<QueuedAt>> left_;
  std::map<DatasetId, std::pair<workspace::Entry, Error>> unopened_;
  std::jthread prober_;
};

Status GatewayImpl::Start() {
  RETURN_IF_ERROR(shared_.workspace->Hold());
  ASSIGN_OR_RETURN(std::shared_ptr<Journal> journal,
                   Journal::Open(shared_.workspace->root(), shared_.options.journal));
  shared_.set_journal(std::move(journal));
  shared_.acknowledger = Acknowledger::Start();
  shared_.committers = Committers::Start(shared_.options.commit_threads);
  RETURN_IF_ERROR(LoadQueue());
  prober_ = std::jthread([this](std::stop_token stop) { Probe(stop); });
  return {};
}

GatewayImpl::~GatewayImpl() {
  prober_ = {};
  shared_.draining = true;
  shared_.stop.request_stop();
  shared_.committers.reset();
  shared_.acknowledger.reset();
  for (const auto& lane : Lanes())
    lane->Abandon(MakeError(ErrorCode::kUnavailable, "the node has shut down; try again"));
  if (auto journal = shared_.journal()) (void)journal->Close().ok();
  lanes_.clear();
  shared_.workspace->Release();
}

// Queued batches without an outcome, to their lanes.
Status GatewayImpl::LoadQueue() {
  const auto journal = shared_.journal();
  ASSIGN_OR_RETURN(auto entries, shared_.workspace->List());
  std::map<DatasetId, workspace::Entry> by_id;
  for (auto& entry : entries) by_id.emplace(entry.id, std::move(entry));
  std::map<DatasetId, std::vector<QueuedAt>> orphans;
  {
    std::lock_guard lock(mutex_);
    left_.clear();
    unopened_.clear();
    CollectPending();
    for (auto it = left_.begin(); it != left_.end();) {
      const bool orphaned = !by_id.contains(it->first);
      if (orphaned) orphans.emplace(it->first, std::move(it->second));
      it = orphaned ? left_.erase(it) : std::next(it);
    }
  }
  std::set<DatasetId> used;
  for (const auto& id : journal->datasets()) used.insert(id);
  for (const auto& [id, entry] : by_id) {
    std::lock_guard lock(mutex_);
    if (left_.contains(id)) used.insert(id);
  }
  for (const auto& id : used) {
    auto it = by_id.find(id);
    if (it == by_id.end()) {
      journal->Forget(id);
      continue;
    }
    auto lane = LaneOf(it->second);
    std::lock_guard lock(mutex_);
    if (lane.ok()) {
      HandOver(**lane, id);
    } else {
      // Its batches wait in the queue; the others go on.
      unopened_.emplace(id, std::pair(it->second, lane.error()));
    }
  }
  for (const auto& [id, queued] : orphans) RETURN_IF_ERROR(SettleOrphans(id, queued));
  return {};
}

// Queued batches of a dataset that is gone.
Status GatewayImpl::SettleOrphans(const DatasetId& id, const std::vector<QueuedAt>& orphans) {
  OutcomeRecord record;
  record.kind = OutcomeRecord::Kind::kSettled;
  record.dataset = id;
  record.time = shared_.clock->Now();
  for (const auto& [place, queued] : orphans) {
    SettledBatch entry;
    entry.source = queued.batch.source;
    entry.queue_sequence = place.sequence;
    entry.account = queued.batch.account;
    entry.nonce = queued.batch.nonce;
    entry.outcome.status = Outcome::Status::kFailed;
    entry.outcome.error_code = ErrorCode::kNotFound;
    entry.outcome.error_message = "the dataset was deleted";
    record.batches.push_back(std::move(entry));
  }
  const auto journal = shared_.journal();
  ASSIGN_OR_RETURN(const Place written, journal->Append(record));
  journal->Confirm(record, written);
  return {};
}

void GatewayImpl::CollectPending() {
  for (auto& pending : shared_.journal()->TakePending())
    left_[pending.second.batch.dataset].push_back(std::move(pending));
}

void GatewayImpl::HandOver(Lane& lane, const DatasetId& id) {
  // Opening a lane compares the journal with the chain, which may have brought batches back.
  CollectPending();
  auto it = left_.find(id);
  if (it == left_.end()) return;
  std::sort(it->second.begin(), it->second.end(),
            [](const auto& a, const auto& b) { return a.first.sequence < b.first.sequence; });
  lane.RemoveRetried(it->second);
  for (const auto& [place, queued] : it->second) lane.AddQueued(place, queued);
  left_.erase(it);
}

// A log that failed is opened anew once the disk takes writes again: only that tells what reached it.
void GatewayImpl::Probe(std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  bool must_open = false;
  std::chrono::steady_clock::time_point next_try;
  while (!stop.stop_requested()) {
    std::unique_lock lock(mutex);
    wake.wait_for(lock, stop, kProbeInterval, [] { return false; });
    if (stop.stop_requested()) return;
    if (!must_open && std::chrono::steady_clock::now() >= next_try) {
      const auto started = std::chrono::steady_clock::now();
      TryUnopened();
      const auto ended = std::chrono::steady_clock::now();
      next_try = ended + kTryPause * (ended - started);
    }
    const auto health = shared_.health();
    if (health.ok() && !must_open) continue;
    if (must_open || !shared_.journal()->health().ok()) {
      std::unique_lock turn(shared_.turn);
      shared_.reopening = true;
      // Whoever still holds the old one must not write behind the new one's back.
      (void)shared_.journal()->Close().ok();
      auto journal = Journal::Open(shared_.workspace->root(), shared_.options.journal);
      must_open = !journal.ok();
      if (must_open) continue;
      for (const auto& lane : Lanes()) lane->DropQueuedFromMemory();
      shared_.set_journal(std::move(*journal));
      bool is_right = true;
      for (const auto& lane : Lanes()) is_right = lane->CompareJournal().ok() && is_right;
      must_open = !is_right || !LoadQueue().ok();
      if (must_open) continue;
      shared_.reopening = false;
    }
    // Idle lanes try nothing by themselves: a small durable write tells whether the disk is well.
    auto storage = storage::OpenLocalStorage(shared_.workspace->root());
    if (storage.ok() && (*storage)->Replace("tmp/.probe", std::string(64 << 10, 'x')).ok()) {
      (void)(*storage)->Delete("tmp/.probe").ok();
      shared_.NoteSuccess();
    }
  }
}

void GatewayImpl::TryUnopened() {
  std::vector<workspace::Entry> entries;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [id, unopened] : unopened_) entries.push_back(unopened.first);
  }
  for (const auto& entry : entries) {
    if (shared_.stop.stop_requested() || shared_.reopening) return;
    const auto lane = LaneOf(entry);  // takes it from the list
    if (lane.ok()) continue;
    if (lane.error().code() == ErrorCode::kNotFound) {
      NoteDeleted(entry);
      continue;
    }
    std::lock_guard lock(mutex_);
    if (auto it = unopened_.find(entry.id); it != unopened_.end()) it->second.second = lane.error();
  }
}

Result<std::shared_ptr<Lane>> GatewayImpl::LaneOf(const workspace::Entry& dataset) {
  const auto find = [&]() -> std::shared_ptr<Lane> {
    std::lock_guard lock(mutex_);
    const auto it = lanes_.find(dataset.id);
    if (it == lanes_.end()) return nullptr;
    it->second->set_entry(dataset);
    return it->second;
  };
  if (auto lane = find()) return lane;
  // Other datasets are not held up by one that takes long.
  std::lock_guard opening(opening_mutex_);
  if (auto lane = find()) return lane;
  ASSIGN_OR_RETURN(auto lane, Lane::Open(shared_, dataset));
  std::lock_guard lock(mutex_);
  lanes_[dataset.id] = lane;
  unopened_.erase(dataset.id);
  HandOver(*lane, dataset.id);
  return lane;
}

std::vector<std::shared_ptr<Lane>> GatewayImpl::Lanes() const {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Lane>> lanes;
  for (const auto& [id, lane] : lanes_) lanes.push_back(lane);
  return lanes;
}

void GatewayImpl::Push(const workspace::Entry& dataset, PushRequest request,
                       std::function<void(PushAnswer)> done) {
  if (shared_.reopening) {
    return done(Refusal{
        .error = MakeError(ErrorCode::kUnavailable, "the node's log is being read again; try again")});
  }
  auto lane = LaneOf(dataset);
  if (!lane.ok()) return done(Refusal{.error = lane.error()});
  (*lane)->Push(std::make_shared<PushRequest>(std::move(request)), std::move(done));
}

std::optional<Refusal> GatewayImpl::Try(const workspace::Entry& dataset, const odf::AddPushSource& source,
                                        const PushRequest& request) {
  auto lane = LaneOf(dataset);
  if (!lane.ok()) return Refusal{.error = lane.error()};
  return (*lane)->Try(source, request);
}

Result<std::vector<SourceView>> GatewayImpl::Sources(const workspace::Entry& dataset,
                                                     const std::optional<std::string>& name) {
  ASSIGN_OR_RETURN(auto lane, LaneOf(dataset));
  return lane->Sources(name);
}

Status GatewayImpl::RunExclusive(const workspace::Entry& dataset, const Exclusive& how,
                                 const std::function<Status()>& change) {
  ASSIGN_OR_RETURN(auto lane, LaneOf(dataset));
  return lane->RunExclusive(how, false, change);
}

Result<std::unique_ptr<index::GuardedIndex>> GatewayImpl::BeginCommit(const workspace::Entry& dataset) {
  ASSIGN_OR_RETURN(auto lane, LaneOf(dataset));
  return lane->BeginCommit();
}

void GatewayImpl::NoteDeleted(const workspace::Entry& dataset) {
  std::shared_ptr<Lane> lane;
  std::vector<QueuedAt> orphans;
  {
    std::lock_guard lock(mutex_);
    unopened_.erase(dataset.id);
    if (auto it = left_.find(dataset.id); it != left_.end()) {
      orphans = std::move(it->second);
      left_.erase(it);
    }
    if (auto it = lanes_.find(dataset.id); it != lanes_.end()) {
      lane = it->second;
      lanes_.erase(it);
    }
  }
  if (lane) lane->Abandon(NotFound("Dataset not found: {}", dataset.alias));
  shared_.journal()->Forget(dataset.id);
  // What cannot be noted is found again at the next start.
  if (!orphans.empty()) (void)SettleOrphans(dataset.id, orphans).ok();
  (void)shared_.dead_letters->RemoveAll(dataset.id).ok();
}

Result<workspace::CompactOutcome> GatewayImpl::Compact(const workspace::Entry& dataset,
                                                       const workspace::CompactOptions& options) {
  ASSIGN_OR_RETURN(auto lane, LaneOf(dataset));
  return lane->Compact(options);
}

Status GatewayImpl::StepAside(const std::optional<workspace::Entry>& dataset, const Exclusive& how,
                              const std::function<void()>& released) {
  const auto step = [&]() -> Status {
    // Not being able to is no reason to keep the operator out: it matters only if this process dies
    // meanwhile.
    const auto journal = shared_.journal();
    for (const auto& id : journal->datasets()) (void)journal->MarkSeen(id).ok();
    shared_.workspace->Release();
    released();
    while (!shared_.workspace->Hold().ok()) {
      if (shared_.stop.stop_requested()) return MakeError(ErrorCode::kCancelled, "the node is shutting down");
      std::this_thread::sleep_for(kTakeBackPause);
    }
    return {};
  };
  Status status;
  if (dataset) {
    ASSIGN_OR_RETURN(auto lane, LaneOf(*dataset));
    status = lane->RunExclusive(how, true, step);
  } else {
    std::unique_lock turn(shared_.turn);
    status = step();
  }
  // Whatever the other process changed.
  for (const auto& lane : Lanes()) {
    auto refreshed = lane->Refresh();
    if (!refreshed.ok() && refreshed.error().code() == ErrorCode::kNotFound) NoteDeleted(lane->entry());
  }
  return status;
}

std::vector<Gateway::Counts> GatewayImpl::counts() const {
  std::vector<Counts> all;
  for (const auto& lane : Lanes()) all.push_back(lane->counts());
  return all;
}

std::vector<DatasetStatus> GatewayImpl::status() const {
  std::vector<DatasetStatus> all;
  for (const auto& lane : Lanes()) all.push_back(lane->status());
  std::lock_guard lock(mutex_);
  for (const auto& [id, unopened] : unopened_) {
    DatasetStatus status;
    status.entry = unopened.first;
    status.last_error = unopened.second.ToString();
    if (auto it = left_.find(id); it != left_.end()) status.waiting = it->second.size();
    all.push_back(std::move(status));
  }
  return all;
}

Result<std::string> GatewayImpl::Retry(const workspace::Entry& dataset, const std::string& receipt) {
  ASSIGN_OR_RETURN(auto lane, LaneOf(dataset));
  return lane->Retry(receipt);
}

Status GatewayImpl::Drop(const workspace::Entry& dataset, const std::string& receipt) {
  ASSIGN_OR_RETURN(auto lane, LaneOf(dataset));
  return lane->Drop(receipt);
}

std::map<std::string, TenantUse> GatewayImpl::tenants() const {
  std::map<std::string, TenantUse> uses;
  for (const auto& [account, bytes] : shared_.memory->held()) uses[account].waiting_bytes = bytes;
  for (const auto& [account, bytes] : shared_.queue->held()) uses[account].queued_bytes = bytes;
  return uses;
}

void GatewayImpl::Drain(std::chrono::milliseconds grace) {
  shared_.draining = true;
  const auto deadline = std::chrono::steady_clock::now() + grace;
  const auto lanes = Lanes();
  for (const auto& lane : lanes) lane->Hurry();
  while (std::chrono::steady_clock::now() < deadline) {
    if (std::all_of(lanes.begin(), lanes.end(), [](const auto& lane) { return lane->is_idle(); })) return;
    std::this_thread::sleep_for(kPoll);
  }
  // Who waits still is told while there is a connection to tell it on.
  for (const auto& lane : lanes)
    lane->Abandon(MakeError(ErrorCode::kUnavailable, "the node is shutting down; try again"));
}

}  // namespace

Result<std::unique_ptr<Gateway>> Gateway::Open(workspace::Workspace& workspace, const Clock& clock,
                                               const GatewayOptions& options) {
  auto gateway = std::make_unique<GatewayImpl>(workspace, clock, options);
  RETURN_IF_ERROR(gateway->Start());
  return std::unique_ptr<Gateway>(std::move(gateway));
}

}  // namespace sluice::gateway

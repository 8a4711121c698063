#include "gateway/journal.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

#include "base/clock.h"
#include "gateway/journal_internal.h"
#include "storage/storage.h"

namespace sluice::gateway {
namespace {

constexpr char kIdName[] = "log-id";
constexpr uint8_t kBodyType = 1;
constexpr size_t kRecentReceipts = 1 << 18;

Result<std::unique_ptr<log::Log>> OpenStream(const std::string& folder, const std::string& expected_id,
                                             uint64_t max_bytes, bool accept_new) {
  log::LogOptions options;
  options.max_log_bytes = max_bytes;
  options.expected_id = expected_id;
  auto stream = log::Log::Open(folder, options);
  if (stream.ok() || stream.error().code() != ErrorCode::kPrecondition) return stream;
  if (!accept_new) {
    return MakeError(
        ErrorCode::kPrecondition,
        "the node's log in '{}' is missing or not the one this workspace knows: batches that were "
        "acknowledged may be gone; 'sluice serve --accept-new-log' goes on without them ({})",
        folder, stream.error().message());
  }
  options.expected_id.clear();
  return log::Log::Open(folder, options);
}

uint64_t HashOf(std::string_view payload) { return XXH3_64bits(payload.data(), payload.size()); }

void AddBlocksOf(const std::vector<SettledBatch>& batches,
                 std::vector<std::pair<Multihash, uint64_t>>* blocks) {
  for (const auto& batch : batches) {
    const Outcome& outcome = batch.outcome;
    if (outcome.block_hash && outcome.sequence) blocks->emplace_back(*outcome.block_hash, *outcome.sequence);
  }
}

}  // namespace

// --- the durable queue ---

Result<Place> LogJournal::Enqueue(const QueuedBatch& batch, std::string_view body) {
  const std::string record = EncodeQueued(batch, body);
  BeginWrite();
  auto position = bodies_->Enqueue(kBodyType, record);
  {
    MutexLock lock(mutex_);
    EndWrite();
    if (position.ok()) {
      const Place place = PlaceOf(*position);
      unsettled_[place.sequence] = place;
      body_bytes_since_ += body.size();
      return place;
    }
  }
  RETURN_IF_ERROR(Noted(Status(position.error())));
  return std::move(position).error();
}

Result<Journal::Queued> LogJournal::Read(const Place& place) const {
  ASSIGN_OR_RETURN(auto record, bodies_->Read(At(*bodies_, place)));
  Queued queued;
  std::string_view body;
  ASSIGN_OR_RETURN(queued.batch, DecodeQueued(record.payload, &body));
  queued.body = std::string(body);
  queued.body_bytes = body.size();
  return queued;
}

std::vector<std::pair<Place, Journal::Queued>> LogJournal::TakePending() {
  MutexLock lock(mutex_);
  std::vector<std::pair<Place, Queued>> pending;
  for (auto& [sequence, entry] : pending_) pending.push_back(std::move(entry));
  pending_.clear();
  return pending;
}

void LogJournal::FreeSettled() {
  const log::Position keep = unsettled_.empty() ? bodies_->end() : At(*bodies_, unsettled_.begin()->second);
  if (keep.segment <= freed_segment_) return;
  if (bodies_->DeleteUpTo(keep).ok()) freed_segment_ = keep.segment;
}

// --- outcomes ---

Result<Place> LogJournal::Append(const OutcomeRecord& record) {
  const std::string payload = EncodeOutcomes(record);
  BeginWrite();
  auto position = outcomes_->Append(static_cast<uint8_t>(record.kind), payload);
  {
    MutexLock lock(mutex_);
    EndWrite();
    if (position.ok()) {
      const Place place = PlaceOf(*position);
      AddChunkRecord(record, place);
      open_.emplace(place.sequence, Open{place, record.dataset});
      anchor_ = Anchor{place, HashOf(payload)};
      return place;
    }
  }
  RETURN_IF_ERROR(Noted(Status(position.error())));
  return std::move(position).error();
}

void LogJournal::AddChunkRecord(const OutcomeRecord& record, const Place& place) {
  if (chunks_.empty() || chunks_.back().records >= kRecordsInChunk)
    chunks_.push_back({.begin = place, .millis = record.time.ToMillis()});
  auto& chunk = chunks_.back();
  ++chunk.records;
  for (const auto& batch : record.batches) {
    if (batch.queue_sequence == 0) continue;
    chunk.first_queued = std::min(chunk.first_queued, batch.queue_sequence);
    chunk.last_queued = std::max(chunk.last_queued, batch.queue_sequence);
  }
}

void LogJournal::Confirm(const OutcomeRecord& record, const Place& place) {
  MutexLock lock(mutex_);
  bool was_added = true;
  if (record.kind == OutcomeRecord::Kind::kUndone) {
    for (auto it = open_.begin(); it != open_.end() && it->first < place.sequence;) {
      const bool is_undone = it->second.dataset == record.dataset;
      was_added = was_added && !is_undone;
      if (is_undone) done_.insert(it->first);
      it = is_undone ? open_.erase(it) : std::next(it);
    }
  }
  open_.erase(place.sequence);
  done_.insert(place.sequence);
  done_.erase(done_.begin(), open_.empty() ? done_.end() : done_.lower_bound(open_.begin()->first));
  AddToTables(record, place, was_added);
  Settle(record, place);
  FreeSettled();
  FreeOldOutcomes();
  batches_since_ += 1 + record.batches.size();
  if (IsCheckpointDue()) changed_.NotifyAll();
}

void LogJournal::Settle(const OutcomeRecord& record, const Place& place) {
  for (uint32_t i = 0; i < record.batches.size(); ++i) {
    const uint64_t sequence = record.batches[i].queue_sequence;
    if (sequence == 0) continue;
    if (auto it = unsettled_.find(sequence); it != unsettled_.end()) {
      if (record.kind == OutcomeRecord::Kind::kCommit)
        datasets_[record.dataset].settled_last.push_back(it->second);
      unsettled_.erase(it);
    }
    pending_.erase(sequence);
    if (receipts_.insert_or_assign(sequence, EntryRef{place, i}).second) receipt_order_.push_back(sequence);
    if (receipt_order_.size() > kRecentReceipts) {
      receipts_.erase(receipt_order_.front());
      receipt_order_.pop_front();
    }
  }
}

void LogJournal::AddKey(SourceTable& table, const SettledBatch& batch, EntryRef entry, int64_t millis) {
  auto [it, is_new] = table.keys.insert_or_assign(
      *batch.key, SourceTable::Key{entry, batch.payload, millis, batch.outcome.sequence.value_or(0)});
  if (is_new) {
    table.order.push_back(*batch.key);
    ++key_count_;
  }
  const int64_t oldest = millis - options_.key_window.count() * 1000;
  while (!table.order.empty()) {
    auto first = table.keys.find(table.order.front());
    if (first != table.keys.end()) {
      if (table.keys.size() <= options_.keys_per_source && first->second.millis >= oldest) break;
      table.keys.erase(first);
      --key_count_;
    }
    table.order.pop_front();
    ++table.left_order;
  }
}

void LogJournal::TakeBack(DatasetTables& tables) {
  for (const auto& place : tables.settled_last) {
    auto queued = Read(place);
    if (!queued.ok()) continue;  // its space was freed: nobody could commit it again
    queued->body.clear();
    receipts_.erase(place.sequence);
    unsettled_[place.sequence] = place;
    pending_.emplace(place.sequence, std::pair(place, std::move(*queued)));
  }
  tables.settled_last.clear();
}

void LogJournal::AddToTables(const OutcomeRecord& record, const Place& place, bool was_added) {
  auto& tables = datasets_[record.dataset];
  using Kind = OutcomeRecord::Kind;
  if (record.kind == Kind::kUndone && was_added) {
    TakeBack(tables);
    if (tables.last_kind == Kind::kReplaced) tables.changes.pop_back();
  }
  const bool moved = record.kind != Kind::kSettled;
  if (moved || record.old_head) {
    tables.last_old_head = record.old_head;
    tables.last_head = moved ? record.new_head : record.old_head;
    tables.last_sequence = record.sequence;
    tables.last_kind = record.kind;
    tables.settled_last.clear();
  }
  if (record.kind == Kind::kReset || record.kind == Kind::kUndone)
    tables.changes.push_back({.record = place.sequence, .chain_sequence = record.sequence});
  if (record.kind == Kind::kReplaced)
    tables.changes.push_back(
        {.record = place.sequence, .is_replacement = true, .successors = record.successors});
  for (uint32_t i = 0; i < record.batches.size(); ++i) {
    const auto& batch = record.batches[i];
    if (!batch.outcome.is_success()) continue;
    auto& table = tables.sources[batch.source];
    if (batch.key) AddKey(table, batch, {place, i}, record.time.ToMillis());
    if (batch.outcome.state)
      table.newest_state = SourceTable::NewestState{
          *batch.outcome.state, batch.payload, {place, i}, batch.outcome.sequence.value_or(0)};
  }
}

void LogJournal::FreeOldOutcomes() {
  const int64_t keep = std::max(options_.receipt_window, options_.key_window).count() * 1000;
  const int64_t now = SystemClock().Now().ToMillis();
  while (chunks_.size() > 1 && chunks_[1].millis < now - keep) {
    if (!outcomes_->DeleteUpTo(At(*outcomes_, chunks_[1].begin)).ok()) return;
    chunks_.pop_front();
  }
}

std::vector<DatasetId> LogJournal::datasets() const {
  MutexLock lock(mutex_);
  std::vector<DatasetId> ids;
  for (const auto& [id, tables] : datasets_) ids.push_back(id);
  return ids;
}

void LogJournal::Forget(const DatasetId& dataset) {
  MutexLock lock(mutex_);
  for (auto it = open_.begin(); it != open_.end();) {
    const bool is_forgotten = it->second.dataset == dataset;
    if (is_forgotten) done_.insert(it->first);
    it = is_forgotten ? open_.erase(it) : std::next(it);
  }
  if (auto it = datasets_.find(dataset); it != datasets_.end()) {
    for (const auto& [name, table] : it->second.sources) key_count_ -= table.keys.size();
    datasets_.erase(it);
  }
}

Status LogJournal::CheckChain(const DatasetId& dataset, const Multihash& head, uint64_t sequence,
                              const std::function<Result<bool>(const Multihash&)>& is_in_chain) {
  using Kind = OutcomeRecord::Kind;
  std::optional<Multihash> last_old_head, last_head;
  Kind last_kind;
  {
    MutexLock lock(mutex_);
    auto it = datasets_.find(dataset);
    if (it == datasets_.end()) return {};
    last_old_head = it->second.last_old_head;
    last_head = it->second.last_head;
    last_kind = it->second.last_kind;
  }
  if (!last_head) return {};
  ASSIGN_OR_RETURN(bool holds, is_in_chain(*last_head));
  if (holds) return {};
  OutcomeRecord found;
  found.dataset = dataset;
  found.time = SystemClock().Now();
  found.new_head = head;
  found.sequence = sequence;
  const bool is_unseen = last_kind == Kind::kCommit || last_kind == Kind::kReplaced;
  if (is_unseen && last_old_head) {
    ASSIGN_OR_RETURN(holds, is_in_chain(*last_old_head));
  }
  if (holds) {
    // The crash came between the journal and the head.
    found.kind = Kind::kUndone;
  } else {
    // A reset, or another program: what is behind the newest block that both know was withdrawn.
    found.kind = Kind::kReset;
    found.sequence = 0;
    // Every block that the log knows, also inside of a group and of a chain that a compaction made.
    std::vector<std::pair<Multihash, uint64_t>> blocks;
    RETURN_IF_ERROR(outcomes_->Replay(outcomes_->begin(), [&](const log::Record& stored) -> Status {
      ASSIGN_OR_RETURN(auto record, DecodeOutcomes(stored.type, stored.payload));
      if (record.dataset != dataset) return {};
      for (size_t i = 0; i < record.blocks.size(); ++i) blocks.emplace_back(record.blocks[i], i);
      if (record.kind == Kind::kCommit) AddBlocksOf(record.batches, &blocks);
      const auto& block = record.kind == Kind::kSettled ? record.old_head : record.new_head;
      if (block) blocks.emplace_back(*block, record.sequence);
      return {};
    }));
    for (auto it = blocks.rbegin(); it != blocks.rend(); ++it) {
      ASSIGN_OR_RETURN(holds, is_in_chain(it->first));
      if (!holds) continue;
      found.sequence = it->second;
      break;
    }
  }
  ASSIGN_OR_RETURN(const Place place, Append(found));
  Confirm(found, place);
  return {};
}

Status LogJournal::MarkSeen(const DatasetId& dataset) {
  OutcomeRecord seen;
  seen.kind = OutcomeRecord::Kind::kSettled;
  {
    MutexLock lock(mutex_);
    // Behind a commit whose outcome is not known it would say that this one came to be, and was seen.
    const auto is_open = [&](const auto& open) { return open.second.dataset == dataset; };
    if (std::any_of(open_.begin(), open_.end(), is_open)) return {};
    auto it = datasets_.find(dataset);
    if (it == datasets_.end()) return {};
    auto& tables = it->second;
    tables.settled_last.clear();
    using Kind = OutcomeRecord::Kind;
    if (tables.last_kind != Kind::kCommit && tables.last_kind != Kind::kReplaced) return {};
    seen.old_head = tables.last_head;
    seen.sequence = tables.last_sequence;
  }
  seen.dataset = dataset;
  seen.time = SystemClock().Now();
  ASSIGN_OR_RETURN(const Place place, Append(seen));
  Confirm(seen, place);
  return {};
}

std::optional<FirstAnswer> LogJournal::Load(const EntryRef& entry, const Digest& payload) const {
  auto stored = outcomes_->Read(At(*outcomes_, entry.place));
  if (!stored.ok()) return std::nullopt;
  auto record = DecodeOutcomes(stored->type, stored->payload);
  if (!record.ok() || entry.index >= record->batches.size()) return std::nullopt;
  const auto batch = AsOfNow(*record, entry.index, entry.place.sequence);
  if (!batch.outcome.is_success()) return std::nullopt;  // withdrawn since it was looked for
  FirstAnswer answer{payload, batch.outcome};
  if (batch.queue_sequence != 0) {
    // The place in the queue is part of the receipt's text only: the nonce makes it the sender's.
    answer.outcome.receipt = ReceiptOf({0, 0, batch.queue_sequence}, batch.nonce);
  }
  return answer;
}

std::optional<FirstAnswer> LogJournal::FindKey(const DatasetId& dataset, const std::string& source,
                                               const Digest& key) {
  EntryRef entry;
  Digest payload;
  {
    MutexLock lock(mutex_);
    auto tables = datasets_.find(dataset);
    if (tables == datasets_.end()) return std::nullopt;
    auto table = tables->second.sources.find(source);
    if (table == tables->second.sources.end()) return std::nullopt;
    auto found = table->second.keys.find(key);
    if (found == table->second.keys.end()) return std::nullopt;
    const int64_t oldest = SystemClock().Now().ToMillis() - options_.key_window.count() * 1000;
    if (found->second.millis < oldest) return std::nullopt;
    if (!SequenceNow(tables->second, found->second.entry.place.sequence, found->second.chain_sequence))
      return std::nullopt;
    entry = found->second.entry;
    payload = found->second.payload;
  }
  return Load(entry, payload);
}

std::optional<FirstAnswer> LogJournal::FindState(const DatasetId& dataset, const std::string& source,
                                                 const State& state) {
  SourceTable::NewestState newest;
  {
    MutexLock lock(mutex_);
    auto tables = datasets_.find(dataset);
    if (tables == datasets_.end()) return std::nullopt;
    auto table = tables->second.sources.find(source);
    if (table == tables->second.sources.end() || !table->second.newest_state) return std::nullopt;
    newest = *table->second.newest_state;
    if (!SequenceNow(tables->second, newest.entry.place.sequence, newest.chain_sequence)) return std::nullopt;
  }
  if (newest.state != state) return std::nullopt;
  return Load(newest.entry, newest.payload);
}

// --- life ---

Status LogJournal::ReplayBodies(const CheckpointEnd& from) {
  return bodies_->Replay(At(*bodies_, from.bodies), [&](const log::Record& stored) -> Status {
    if (stored.type != kBodyType) return {};
    Queued queued;
    std::string_view body;
    ASSIGN_OR_RETURN(queued.batch, DecodeQueued(stored.payload, &body));
    queued.body_bytes = body.size();
    const Place place = PlaceOf(stored.position);
    MutexLock lock(mutex_);
    ++counts_.records_read;
    body_bytes_since_ += body.size();
    unsettled_[place.sequence] = place;
    pending_.emplace(place.sequence, std::pair(place, std::move(queued)));
    return {};
  });
}

Status LogJournal::ReplayOutcomes(const CheckpointEnd& from) {
  return outcomes_->Replay(At(*outcomes_, from.outcomes), [&](const log::Record& stored) -> Status {
    if (stored.type < 1 || stored.type > static_cast<uint8_t>(OutcomeRecord::Kind::kUndone)) return {};
    ASSIGN_OR_RETURN(auto record, DecodeOutcomes(stored.type, stored.payload));
    const Place place = PlaceOf(stored.position);
    MutexLock lock(mutex_);
    ++counts_.records_read;
    batches_since_ += 1 + record.batches.size();
    anchor_ = Anchor{place, HashOf(stored.payload)};
    AddChunkRecord(record, place);
    if (from.done.contains(place.sequence)) return {};
    AddToTables(record, place, true);
    // What a crash took back becomes pending again in CheckChain; until then it is not in the way.
    Settle(record, place);
    return {};
  });
}

void LogJournal::Clear() {
  MutexLock lock(mutex_);
  unsettled_.clear();
  pending_.clear();
  datasets_.clear();
  chunks_.clear();
  receipts_.clear();
  receipt_order_.clear();
  key_count_ = 0;
  anchor_.reset();
  batches_since_ = body_bytes_since_ = 0;
  counts_ = {};
}

Journal::Stats LogJournal::stats() const {
  MutexLock lock(mutex_);
  Stats stats = counts_;
  stats.queued = unsettled_.size();
  stats.queue_bytes = bodies_->size_bytes();
  stats.log_bytes = outcomes_->size_bytes();
  stats.keys = key_count_;
  return stats;
}

Status LogJournal::health() const {
  MutexLock lock(mutex_);
  if (broken_) return *broken_;
  return {};
}

Status LogJournal::Close() {
  StopCheckpoints(true);
  Status bodies = bodies_->Close();
  Status outcomes = outcomes_->Close();
  return bodies.ok() ? std::move(outcomes) : std::move(bodies);
}

Result<std::unique_ptr<Journal>> Journal::Open(const std::string& folder, const JournalOptions& options) {
  ASSIGN_OR_RETURN(auto storage, storage::OpenLocalStorage(folder));
  std::string bodies_id, outcomes_id;
  ASSIGN_OR_RETURN(const bool known, storage->Exists(kIdName));
  if (known) {
    ASSIGN_OR_RETURN(const std::string ids, storage->Get(kIdName));
    const auto space = ids.find(' ');
    if (space == std::string::npos) return Corruption("file '{}/{}' holds no two ids", folder, kIdName);
    bodies_id = ids.substr(0, space);
    outcomes_id = ids.substr(space + 1);
  }
  ASSIGN_OR_RETURN(auto bodies, OpenStream(folder + "/log/bodies", bodies_id, options.max_queue_bytes,
                                           options.accept_new_log));
  ASSIGN_OR_RETURN(auto outcomes,
                   OpenStream(folder + "/log/outcomes", outcomes_id, 0, options.accept_new_log));
  if (bodies->id() != bodies_id || outcomes->id() != outcomes_id)
    RETURN_IF_ERROR(storage->Replace(kIdName, bodies->id() + " " + outcomes->id()));
  auto journal = std::make_unique<LogJournal>(options, folder + "/log/checkpoint", std::move(bodies),
                                              std::move(outcomes));
  RETURN_IF_ERROR(journal->Recover());
  journal->StartCheckpoints();
  return std::unique_ptr<Journal>(std::move(journal));
}

}  // namespace sluice::gateway

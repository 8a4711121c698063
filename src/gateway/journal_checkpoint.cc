// What was found by reading the log, written down so that the next start need not read it again.
#include <pthread.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

#include "base/clock.h"
#include "gateway/bytes_internal.h"
#include "gateway/checkpoint_file.h"
#include "gateway/journal_internal.h"

namespace sluice::gateway {
namespace {

// Kinds of blocks, in the order in which they come.
enum class Block : uint8_t {
  kEnd = 1,         // where the checkpoint ends: the first block
  kDataset = 2,     // of a dataset
  kSuccessors = 3,  // more of the last change of the dataset before
  kSource = 4,
  kChunks = 5,
  kUnsettled = 6,
  kKeys = 7,  // of one source, oldest first
};

constexpr size_t kKeysInBlock = 2048;  // taken with the lock held: a fraction of a millisecond
constexpr size_t kManyInBlock = 50'000;
// At the end of a process, as in a command that only settles the queue: not worth less than this.
constexpr uint64_t kWorthwhileDivisor = 100;

ByteWriter Begin(Block block) {
  ByteWriter writer;
  writer.Number(static_cast<uint8_t>(block));
  return writer;
}

void Put(ByteWriter& writer, const Place& place) {
  writer.Number(place.segment);
  writer.Number(place.offset);
  writer.Number(place.sequence);
}
Place GetPlace(ByteReader& reader) {
  Place place;
  place.segment = reader.Number<uint64_t>();
  place.offset = reader.Number<uint64_t>();
  place.sequence = reader.Number<uint64_t>();
  return place;
}

void Put(ByteWriter& writer, const std::optional<Multihash>& hash) {
  writer.Text(hash ? hash->ToBytes() : std::string());
}
Result<std::optional<Multihash>> GetHash(ByteReader& reader) {
  const auto bytes = reader.Text();
  if (bytes.empty()) return std::optional<Multihash>();
  ASSIGN_OR_RETURN(auto hash, Multihash::FromBytes(bytes));
  return std::optional(std::move(hash));
}

void Put(ByteWriter& writer, const EntryRef& entry) {
  Put(writer, entry.place);
  writer.Number(entry.index);
}
EntryRef GetEntry(ByteReader& reader) {
  EntryRef entry;
  entry.place = GetPlace(reader);
  entry.index = reader.Number<uint32_t>();
  return entry;
}

Error Damaged(std::string_view what) { return Corruption("the journal's checkpoint holds no {}", what); }

}  // namespace

// What a checkpoint holds.
struct LogJournal::Loaded {
  CheckpointEnd end;
  std::map<DatasetId, DatasetTables> datasets;
  std::deque<Chunk> chunks;
  std::vector<Place> unsettled;
  size_t key_count = 0;
};

// --- when ---

void LogJournal::BeginWrite() {
  MutexLock lock(mutex_);
  changed_.Wait(mutex_, [this]() NO_THREAD_SAFETY_ANALYSIS { return !is_looking_; });
  ++writing_;
}

void LogJournal::EndWrite() {
  if (--writing_ == 0 && is_looking_) changed_.NotifyAll();
}

bool LogJournal::IsCheckpointDue() const {
  return batches_since_ >= std::max<uint64_t>(options_.checkpoint_batches, key_count_ / 2) ||
         body_bytes_since_ >= options_.checkpoint_body_bytes;
}

void LogJournal::StartCheckpoints() {
  checkpointer_ = std::thread([this] { WorkOnCheckpoints(); });
}

void LogJournal::WorkOnCheckpoints() {
  pthread_setname_np(pthread_self(), "checkpoints");
  while (true) {
    {
      MutexLock lock(mutex_);
      changed_.Wait(mutex_, [this]() NO_THREAD_SAFETY_ANALYSIS { return is_closing_ || IsCheckpointDue(); });
      if (is_closing_) return;
    }
    (void)WriteCheckpoint().ok();  // counted; the log has everything
  }
}

void LogJournal::StopCheckpoints(bool writes_last) {
  bool is_worthwhile;
  {
    MutexLock lock(mutex_);
    if (is_closing_) return;
    is_closing_ = true;
    is_worthwhile = writes_last && !broken_ &&
                    (batches_since_ >= options_.checkpoint_batches / kWorthwhileDivisor ||
                     body_bytes_since_ >= options_.checkpoint_body_bytes / kWorthwhileDivisor);
    changed_.NotifyAll();
  }
  if (checkpointer_.joinable()) checkpointer_.join();
  if (is_worthwhile) (void)WriteCheckpoint().ok();
}

// --- writing ---

CheckpointEnd LogJournal::EndNow() {
  CheckpointEnd end;
  end.bodies = PlaceOf(bodies_->end());
  end.outcomes = open_.empty() ? PlaceOf(outcomes_->end()) : open_.begin()->second.place;
  end.done = done_;
  end.anchor = anchor_;
  return end;
}

namespace {

std::string EncodeEnd(const CheckpointEnd& end, const std::string& bodies_id,
                      const std::string& outcomes_id) {
  auto writer = Begin(Block::kEnd);
  writer.Text(bodies_id);
  writer.Text(outcomes_id);
  Put(writer, end.bodies);
  Put(writer, end.outcomes);
  writer.Number(static_cast<uint8_t>(end.anchor.has_value()));
  if (end.anchor) {
    Put(writer, end.anchor->place);
    writer.Number(end.anchor->hash);
  }
  writer.Number(static_cast<uint32_t>(end.done.size()));
  for (const uint64_t sequence : end.done) writer.Number(sequence);
  return writer.Take();
}

void EncodeDataset(const DatasetId& id, const DatasetTables& tables, std::vector<std::string>* blocks) {
  auto writer = Begin(Block::kDataset);
  writer.Text(id.ToString());
  Put(writer, tables.last_old_head);
  Put(writer, tables.last_head);
  writer.Number(tables.last_sequence);
  writer.Number(static_cast<uint8_t>(tables.last_kind));
  writer.Number(static_cast<uint32_t>(tables.settled_last.size()));
  for (const auto& place : tables.settled_last) Put(writer, place);
  writer.Number(static_cast<uint32_t>(tables.changes.size()));
  for (const auto& change : tables.changes) {
    writer.Number(change.record);
    writer.Number(static_cast<uint8_t>(change.is_replacement));
    writer.Number(change.chain_sequence);
  }
  blocks->push_back(writer.Take());
  for (size_t i = 0; i < tables.changes.size(); ++i) {
    const auto& successors = tables.changes[i].successors;
    for (size_t at = 0; at < successors.size(); at += kManyInBlock) {
      const size_t end = std::min(at + kManyInBlock, successors.size());
      auto more = Begin(Block::kSuccessors);
      more.Text(id.ToString());
      more.Number(static_cast<uint32_t>(i));
      more.Number(static_cast<uint32_t>(end - at));
      for (size_t k = at; k < end; ++k) {
        more.Number(successors[k].first);
        more.Number(successors[k].second);
      }
      blocks->push_back(more.Take());
    }
  }
}

std::string EncodeSource(const DatasetId& id, const std::string& name, const SourceTable& table) {
  auto writer = Begin(Block::kSource);
  writer.Text(id.ToString());
  writer.Text(name);
  writer.Number(static_cast<uint8_t>(table.newest_state.has_value()));
  if (const auto& newest = table.newest_state) {
    writer.Text(newest->state.kind);
    writer.Text(newest->state.value);
    writer.Raw(newest->payload.data(), newest->payload.size());
    Put(writer, newest->entry);
    writer.Number(newest->chain_sequence);
  }
  return writer.Take();
}

// Items in blocks of many.
template <class Items, class PutItem>
void EncodeMany(Block block, const Items& items, PutItem put, std::vector<std::string>* blocks) {
  for (auto it = items.begin(); it != items.end();) {
    auto writer = Begin(block);
    const auto count = std::min<size_t>(kManyInBlock, static_cast<size_t>(std::distance(it, items.end())));
    writer.Number(static_cast<uint32_t>(count));
    for (size_t i = 0; i < count; ++i, ++it) put(writer, *it);
    blocks->push_back(writer.Take());
  }
}

}  // namespace

std::vector<std::string> LogJournal::EncodeTables(std::vector<std::pair<SourceName, uint64_t>>* sources) {
  const CheckpointEnd end = EndNow();
  std::vector<std::string> blocks = {EncodeEnd(end, bodies_->id(), outcomes_->id())};
  for (const auto& [id, tables] : datasets_) {
    EncodeDataset(id, tables, &blocks);
    for (const auto& [name, table] : tables.sources) {
      blocks.push_back(EncodeSource(id, name, table));
      sources->emplace_back(SourceName(id, name), table.left_order + table.order.size());
    }
  }
  std::vector<Chunk> chunks;  // the others come with the records that are read again
  for (const auto& chunk : chunks_) {
    if (chunk.begin.sequence < end.outcomes.sequence) chunks.push_back(chunk);
  }
  EncodeMany(
      Block::kChunks, chunks,
      [](ByteWriter& writer, const Chunk& chunk) {
        Put(writer, chunk.begin);
        writer.Number(chunk.millis);
        writer.Number(chunk.first_queued);
        writer.Number(chunk.last_queued);
        writer.Number(static_cast<uint64_t>(chunk.records));
      },
      &blocks);
  EncodeMany(
      Block::kUnsettled, unsettled_, [](ByteWriter& writer, const auto& entry) { Put(writer, entry.second); },
      &blocks);
  return blocks;
}

// Keys that come while they are written are in the records that are read again, or twice: either is right.
std::string LogJournal::EncodeKeys(const SourceName& source, uint64_t* at, uint64_t end) {
  MutexLock lock(mutex_);
  const auto tables = datasets_.find(source.first);
  if (tables == datasets_.end()) return {};
  const auto table = tables->second.sources.find(source.second);
  if (table == tables->second.sources.end()) return {};
  const auto& order = table->second.order;
  *at = std::max(*at, table->second.left_order);
  const uint64_t last = std::min(end, table->second.left_order + order.size());
  if (*at >= last) return {};
  auto writer = Begin(Block::kKeys);
  writer.Text(source.first.ToString());
  writer.Text(source.second);
  const uint64_t count = std::min<uint64_t>(kKeysInBlock, last - *at);
  std::vector<std::pair<const Digest*, const SourceTable::Key*>> keys;
  for (uint64_t i = 0; i < count; ++i, ++*at) {
    const auto& digest = order[*at - table->second.left_order];
    if (const auto it = table->second.keys.find(digest); it != table->second.keys.end())
      keys.emplace_back(&digest, &it->second);
  }
  writer.Number(static_cast<uint32_t>(keys.size()));
  for (const auto& [digest, key] : keys) {
    writer.Raw(digest->data(), digest->size());
    writer.Raw(key->payload.data(), key->payload.size());
    Put(writer, key->entry);
    writer.Number(key->millis);
    writer.Number(key->chain_sequence);
  }
  return writer.Take();
}

Status LogJournal::WriteCheckpoint() {
  MutexLock one(checkpoint_mutex_);
  std::vector<std::string> blocks;
  std::vector<std::pair<SourceName, uint64_t>> sources;
  {
    MutexLock lock(mutex_);
    is_looking_ = true;
    changed_.Wait(mutex_, [this]() NO_THREAD_SAFETY_ANALYSIS { return writing_ == 0; });
    blocks = EncodeTables(&sources);
    // Also when it fails: it is tried again when as much has come.
    batches_since_ = body_bytes_since_ = 0;
    is_looking_ = false;
    changed_.NotifyAll();
  }
  const auto write = [&]() -> Status {
    ASSIGN_OR_RETURN(auto file, CheckpointWriter::Create(checkpoint_path_));
    for (auto& block : blocks) {
      RETURN_IF_ERROR(file->Add(block));
      block = {};
    }
    for (const auto& [source, end] : sources) {
      uint64_t at = 0;
      for (std::string keys = EncodeKeys(source, &at, end); !keys.empty();
           keys = EncodeKeys(source, &at, end))
        RETURN_IF_ERROR(file->Add(keys));
    }
    ASSIGN_OR_RETURN([[maybe_unused]] const uint64_t bytes, file->Finish());
    return {};
  };
  Status status = write();
  MutexLock lock(mutex_);
  ++(status.ok() ? counts_.checkpoints : counts_.checkpoint_failures);
  return status;
}

// --- reading ---

namespace {

Result<CheckpointEnd> DecodeEnd(ByteReader& reader, const std::string& bodies_id,
                                const std::string& outcomes_id) {
  const auto bodies = reader.Text();
  const auto outcomes = reader.Text();
  if (bodies != bodies_id || outcomes != outcomes_id) return Damaged("position of this log");
  CheckpointEnd end;
  end.bodies = GetPlace(reader);
  end.outcomes = GetPlace(reader);
  if (reader.Number<uint8_t>() != 0) {
    Anchor anchor;
    anchor.place = GetPlace(reader);
    anchor.hash = reader.Number<uint64_t>();
    end.anchor = anchor;
  }
  const auto count = reader.Number<uint32_t>();
  for (uint32_t i = 0; i < count && reader.ok(); ++i) end.done.insert(reader.Number<uint64_t>());
  if (!reader.ok()) return Damaged("whole end");
  return end;
}

Status DecodeDataset(ByteReader& reader, std::map<DatasetId, DatasetTables>* datasets) {
  ASSIGN_OR_RETURN(const auto id, DatasetId::Parse(reader.Text()));
  auto& tables = (*datasets)[id];
  ASSIGN_OR_RETURN(tables.last_old_head, GetHash(reader));
  ASSIGN_OR_RETURN(tables.last_head, GetHash(reader));
  tables.last_sequence = reader.Number<uint64_t>();
  const auto kind = reader.Number<uint8_t>();
  if (kind < 1 || kind > static_cast<uint8_t>(OutcomeRecord::Kind::kUndone)) return Damaged("kind of record");
  tables.last_kind = static_cast<OutcomeRecord::Kind>(kind);
  const auto settled = reader.Number<uint32_t>();
  for (uint32_t i = 0; i < settled && reader.ok(); ++i) tables.settled_last.push_back(GetPlace(reader));
  const auto changes = reader.Number<uint32_t>();
  for (uint32_t i = 0; i < changes && reader.ok(); ++i) {
    ChainChange change;
    change.record = reader.Number<uint64_t>();
    change.is_replacement = reader.Number<uint8_t>() != 0;
    change.chain_sequence = reader.Number<uint64_t>();
    tables.changes.push_back(std::move(change));
  }
  return reader.ok() ? OkStatus() : Status(Damaged("whole dataset"));
}

Result<DatasetTables*> TablesOf(ByteReader& reader, std::map<DatasetId, DatasetTables>* datasets) {
  ASSIGN_OR_RETURN(const auto id, DatasetId::Parse(reader.Text()));
  const auto it = datasets->find(id);
  if (it == datasets->end()) return Damaged("such dataset");
  return &it->second;
}

Status DecodeSuccessors(ByteReader& reader, std::map<DatasetId, DatasetTables>* datasets) {
  ASSIGN_OR_RETURN(auto* tables, TablesOf(reader, datasets));
  const auto index = reader.Number<uint32_t>();
  const auto count = reader.Number<uint32_t>();
  if (index >= tables->changes.size()) return Damaged("such change");
  auto& successors = tables->changes[index].successors;
  for (uint32_t i = 0; i < count && reader.ok(); ++i) {
    const auto before = reader.Number<uint64_t>();
    successors.emplace_back(before, reader.Number<uint64_t>());
  }
  return reader.ok() ? OkStatus() : Status(Damaged("whole change"));
}

Status DecodeSource(ByteReader& reader, std::map<DatasetId, DatasetTables>* datasets) {
  ASSIGN_OR_RETURN(auto* tables, TablesOf(reader, datasets));
  auto& table = tables->sources[std::string(reader.Text())];
  if (reader.Number<uint8_t>() != 0) {
    SourceTable::NewestState newest;
    newest.state.kind = reader.Text();
    newest.state.value = reader.Text();
    reader.Raw(newest.payload.data(), newest.payload.size());
    newest.entry = GetEntry(reader);
    newest.chain_sequence = reader.Number<uint64_t>();
    table.newest_state = std::move(newest);
  }
  return reader.ok() ? OkStatus() : Status(Damaged("whole source"));
}

// Those that have expired meanwhile are left out. Returns how many there are.
Result<size_t> DecodeKeys(ByteReader& reader, int64_t oldest, std::map<DatasetId, DatasetTables>* datasets) {
  ASSIGN_OR_RETURN(auto* tables, TablesOf(reader, datasets));
  const auto table = tables->sources.find(std::string(reader.Text()));
  if (table == tables->sources.end()) return Damaged("such source");
  const auto count = reader.Number<uint32_t>();
  size_t added = 0;
  for (uint32_t i = 0; i < count && reader.ok(); ++i) {
    Digest digest;
    SourceTable::Key key;
    reader.Raw(digest.data(), digest.size());
    reader.Raw(key.payload.data(), key.payload.size());
    key.entry = GetEntry(reader);
    key.millis = reader.Number<int64_t>();
    key.chain_sequence = reader.Number<uint64_t>();
    if (key.millis < oldest || !table->second.keys.emplace(digest, key).second) continue;
    table->second.order.push_back(digest);
    ++added;
  }
  if (!reader.ok()) return Damaged("whole keys");
  return added;
}

Status DecodeChunks(ByteReader& reader, std::deque<Chunk>* chunks) {
  const auto count = reader.Number<uint32_t>();
  for (uint32_t i = 0; i < count && reader.ok(); ++i) {
    Chunk chunk;
    chunk.begin = GetPlace(reader);
    chunk.millis = reader.Number<int64_t>();
    chunk.first_queued = reader.Number<uint64_t>();
    chunk.last_queued = reader.Number<uint64_t>();
    chunk.records = reader.Number<uint64_t>();
    chunks->push_back(chunk);
  }
  return reader.ok() ? OkStatus() : Status(Damaged("whole chunks"));
}

}  // namespace

Result<LogJournal::Loaded> LogJournal::ReadCheckpoint() const {
  ASSIGN_OR_RETURN(auto file, CheckpointReader::Open(checkpoint_path_));
  const int64_t oldest = SystemClock().Now().ToMillis() - options_.key_window.count() * 1000;
  Loaded loaded;
  bool has_end = false;
  while (true) {
    ASSIGN_OR_RETURN(const auto block, file->Next());
    if (!block) break;
    ByteReader reader(*block);
    const auto kind = static_cast<Block>(reader.Number<uint8_t>());
    if (!has_end && kind != Block::kEnd) return Damaged("end");
    switch (kind) {
      case Block::kEnd: {
        ASSIGN_OR_RETURN(loaded.end, DecodeEnd(reader, bodies_->id(), outcomes_->id()));
        RETURN_IF_ERROR(CheckAgainstLog(loaded.end));
        has_end = true;
        break;
      }
      case Block::kDataset:
        RETURN_IF_ERROR(DecodeDataset(reader, &loaded.datasets));
        break;
      case Block::kSuccessors:
        RETURN_IF_ERROR(DecodeSuccessors(reader, &loaded.datasets));
        break;
      case Block::kSource:
        RETURN_IF_ERROR(DecodeSource(reader, &loaded.datasets));
        break;
      case Block::kChunks:
        RETURN_IF_ERROR(DecodeChunks(reader, &loaded.chunks));
        break;
      case Block::kUnsettled: {
        const auto count = reader.Number<uint32_t>();
        for (uint32_t i = 0; i < count && reader.ok(); ++i) loaded.unsettled.push_back(GetPlace(reader));
        if (!reader.ok()) return Damaged("whole queue");
        break;
      }
      case Block::kKeys: {
        ASSIGN_OR_RETURN(const size_t added, DecodeKeys(reader, oldest, &loaded.datasets));
        loaded.key_count += added;
        break;
      }
      default:
        return Damaged("such block");
    }
  }
  if (!has_end) return Damaged("end");
  return loaded;
}

// A log of the same id may have been put back from a copy: then it is not the one that was written down.
Status LogJournal::CheckAgainstLog(const CheckpointEnd& end) const {
  // Bodies may have been freed since, up to what was queued later.
  if (end.bodies.sequence > bodies_->end().sequence || end.outcomes.sequence > outcomes_->end().sequence ||
      end.outcomes.sequence < outcomes_->begin().sequence)
    return Damaged("place that the log has");
  if (!end.anchor) return {};
  ASSIGN_OR_RETURN(const auto stored, outcomes_->Read(At(*outcomes_, end.anchor->place)));
  if (XXH3_64bits(stored.payload.data(), stored.payload.size()) != end.anchor->hash)
    return Damaged("record of this log");
  return {};
}

Status LogJournal::TakeUp(Loaded loaded) {
  {
    MutexLock lock(mutex_);
    datasets_ = std::move(loaded.datasets);
    chunks_ = std::move(loaded.chunks);
    key_count_ = loaded.key_count;
    anchor_ = loaded.end.anchor;
    counts_.began_at_checkpoint = true;
  }
  for (const auto& place : loaded.unsettled) {
    if (place.sequence >= loaded.end.bodies.sequence) continue;  // read below, if it reached the disk
    auto queued = Read(place);
    // Settled since, and its space freed: the record of that follows.
    if (!queued.ok() && queued.error().code() == ErrorCode::kNotFound) continue;
    if (!queued.ok()) return std::move(queued).error();
    queued->body.clear();
    MutexLock lock(mutex_);
    ++counts_.records_read;
    unsettled_[place.sequence] = place;
    pending_.emplace(place.sequence, std::pair(place, std::move(*queued)));
  }
  if (loaded.end.bodies.sequence < bodies_->begin().sequence) loaded.end.bodies = PlaceOf(bodies_->begin());
  RETURN_IF_ERROR(ReplayBodies(loaded.end));
  return ReplayOutcomes(loaded.end);
}

Status LogJournal::Recover() {
  if (auto loaded = ReadCheckpoint(); loaded.ok()) {
    if (TakeUp(std::move(*loaded)).ok()) return {};
    Clear();
  }
  const auto beginning = Beginning();
  RETURN_IF_ERROR(ReplayBodies(beginning));
  return ReplayOutcomes(beginning);
}

}  // namespace sluice::gateway

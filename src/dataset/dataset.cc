#include "dataset/dataset.h"

#include <algorithm>

namespace sluice::dataset {
namespace {

constexpr char kStateName[] = "chain-state";
constexpr char kDurableName[] = "durable-head";
constexpr size_t kCheckpointEvery =
    4096;  // blocks between saves while a long chain is read for the first time
constexpr size_t kMaxSyncedNames =
    256;  // syncing the whole file system costs less than more files one by one

// The files that an event refers to.
struct DataView {
  const odf::DataSlice* slice = nullptr;
  const odf::Checkpoint* checkpoint = nullptr;
  bool has_extra = false;
};

DataView ViewData(const odf::MetadataEvent& event) {
  DataView view;
  const auto look = [&view](const auto& data) {
    if (data.new_data) view.slice = &*data.new_data;
    if (data.new_checkpoint) view.checkpoint = &*data.new_checkpoint;
  };
  if (const auto* add = std::get_if<odf::AddData>(&event)) {
    look(*add);
    view.has_extra = add->extra.has_value();
  }
  if (const auto* run = std::get_if<odf::ExecuteTransform>(&event)) look(*run);
  return view;
}

Result<std::optional<Multihash>> ReadHash(const storage::Storage& storage, const std::string& name) {
  auto text = storage.Get(name);
  if (!text.ok()) {
    if (text.error().code() == ErrorCode::kNotFound) return std::optional<Multihash>();
    return std::move(text).error();
  }
  auto hash = Multihash::Parse(*text);
  if (!hash.ok()) return Corruption("'{}' does not hold a block hash: '{}'", name, text->substr(0, 80));
  return std::optional<Multihash>(*hash);
}

}  // namespace

std::string BlockName(const Multihash& hash) { return "blocks/" + hash.ToString(); }
std::string DataName(const Multihash& hash) { return "data/" + hash.ToString(); }
std::string CheckpointName(const Multihash& hash) { return "checkpoints/" + hash.ToString(); }

Result<std::unique_ptr<Dataset>> Dataset::Open(DatasetStores stores) {
  std::unique_ptr<Dataset> dataset(new Dataset(std::move(stores)));
  ASSIGN_OR_RETURN(auto head, ReadHash(*dataset->stores_.files, kHeadName));
  if (!head) return NotFound("dataset has no head: its creation did not finish");
  RETURN_IF_ERROR(dataset->LoadState(*head));
  return dataset;
}

Result<std::unique_ptr<Dataset>> Dataset::Create(DatasetStores stores, const odf::Seed& seed,
                                                 std::vector<odf::MetadataEvent> events,
                                                 Instant system_time) {
  std::unique_ptr<Dataset> dataset(new Dataset(std::move(stores)));
  ASSIGN_OR_RETURN(auto head, ReadHash(*dataset->stores_.files, kHeadName));
  if (head)
    return MakeError(ErrorCode::kAlreadyExists, "dataset '{}' already has a chain",
                     seed.dataset_id.ToString());
  CommitRequest request;
  request.system_time = system_time;
  request.events.push_back(seed);
  for (auto& event : events) request.events.push_back(std::move(event));
  ASSIGN_OR_RETURN(auto result, dataset->Commit(std::move(request)));
  return dataset;
}

Status Dataset::LoadState(const Multihash& head) {
  ChainState known = state_;
  if (!known.head) {
    if (auto bytes = stores_.derived->Get(kStateName); bytes.ok()) {
      if (auto cached = ChainState::Deserialize(*bytes); cached.ok()) known = std::move(*cached);
    }
    if (known.head == head) {
      state_ = std::move(known);
      return {};
    }
  }
  ASSIGN_OR_RETURN(state_, Derive(head, known));
  SaveState(state_);
  return {};
}

Result<ChainState> Dataset::Derive(const Multihash& head, const ChainState& known) const {
  std::vector<Multihash> pending;
  bool met_known = false;
  RETURN_IF_ERROR(WalkBack(
      [&](const StoredBlock& block) -> Result<bool> {
        met_known = known.head == block.hash;
        if (!met_known) pending.push_back(block.hash);
        return !met_known;
      },
      head));
  ChainState state = met_known ? known : ChainState();
  size_t applied = 0;
  for (auto it = pending.rbegin(); it != pending.rend(); ++it) {
    ASSIGN_OR_RETURN(auto block, ReadBlock(*it));
    // Other programs keep fewer rules than we do when we write.
    if (auto status = state.Apply(block.block, block.hash, odf::Judging::kReplay); !status.ok()) {
      return Corruption("the chain breaks a rule: {}", status.error().ToString())
          .With("block " + it->ToString());
    }
    if (++applied % kCheckpointEvery == 0) SaveState(state);
  }
  return state;
}

void Dataset::SaveState(const ChainState& state) const {
  // Only a cache: what cannot be written is derived again.
  (void)stores_.derived->ReplaceUnsynced(kStateName, state.Serialize()).ok();
}

Result<bool> Dataset::Refresh() {
  ASSIGN_OR_RETURN(auto head, ReadHash(*stores_.files, kHeadName));
  if (!head) return NotFound("dataset has no head any more: it was deleted");
  if (state_.head == *head) return false;
  RETURN_IF_ERROR(LoadState(*head));
  return true;
}

void Dataset::NoteDurable(const Multihash& head) {
  durable_head_ = head;
  stores_.failures->set_unsure_head(std::nullopt);
  (void)stores_.derived->ReplaceUnsynced(kDurableName, head.ToString()).ok();
}

void Dataset::NoteCommit() {
  constexpr auto kBetweenNotes = std::chrono::milliseconds(250);
  const auto now = std::chrono::steady_clock::now();
  if (now - noted_at_ < kBetweenNotes) {
    durable_head_ = state_.head;
    stores_.failures->set_unsure_head(std::nullopt);
    return;
  }
  noted_at_ = now;
  NoteDurable(*state_.head);
  SaveState(state_);
}

Result<std::optional<std::vector<std::string>>> Dataset::NamesAfter(const Multihash& known) const {
  std::vector<std::string> names;
  bool met_known = false;
  bool all_named = true;
  RETURN_IF_ERROR(WalkBack([&](const StoredBlock& block) -> Result<bool> {
    met_known = block.hash == known;
    if (met_known) return false;
    names.push_back(BlockName(block.hash));
    const DataView data = ViewData(block.block.event);
    if (data.slice) names.push_back(DataName(data.slice->physical_hash));
    if (data.checkpoint) names.push_back(CheckpointName(data.checkpoint->physical_hash));
    // Rows may link to objects whose names only they know.
    all_named = !data.has_extra && names.size() < kMaxSyncedNames;
    return all_named;
  }));
  if (!met_known || !all_named) return std::optional<std::vector<std::string>>();
  names.push_back(kHeadName);
  return std::optional(std::move(names));
}

Status Dataset::WriteAnew(std::optional<std::vector<std::string>> names) {
  if (!names) {
    names.emplace();
    for (const char* folder : {"blocks", "data", "checkpoints"}) {
      ASSIGN_OR_RETURN(auto stored, stores_.files->List(folder));
      names->insert(names->end(), stored.begin(), stored.end());
    }
  } else {
    std::erase(*names, kHeadName);
  }
  for (const auto& name : *names) {
    ASSIGN_OR_RETURN(const std::string bytes, stores_.files->Get(name));
    // The kernel may have dropped what it could not write: an object's name says what it should hold.
    const std::string hash = name.substr(name.rfind('/') + 1);
    if (multiformats::Sha3Multihash(bytes).ToString() != hash)
      return Corruption("'{}' does not hold what its name says, after a sync that failed", name);
    RETURN_IF_ERROR(stores_.files->Replace(name, bytes));
  }
  std::lock_guard lock(stores_.failures->head_mutex());
  ASSIGN_OR_RETURN(const auto head, ReadHash(*stores_.files, kHeadName));
  if (head != state_.head)
    return MakeError(ErrorCode::kUnavailable, "the dataset's head moved meanwhile; try again");
  return stores_.files->Replace(kHeadName, head->ToString());
}

Status Dataset::EnsureDurable() {
  RETURN_IF_ERROR(CheckHeadBlock());
  if (durable_head_ == state_.head) return {};
  const auto unsure = stores_.failures->unsure_head();
  // A note that cannot be read is as good as none.
  const auto note = ReadHash(*stores_.derived, kDurableName);
  const std::optional<Multihash> known = note.ok() ? *note : std::nullopt;
  if (known == state_.head && unsure != state_.head) {
    durable_head_ = known;
    return {};
  }
  std::optional<std::vector<std::string>> names;
  if (known) {
    ASSIGN_OR_RETURN(names, NamesAfter(*known));
  }
  Status synced;
  if (unsure) {
    // A second sync would prove nothing of files whose first one failed; what was built on them needs them.
    synced = WriteAnew(names);
  } else {
    synced = names ? stores_.files->Sync(*names) : stores_.files->SyncAll();
  }
  if (!synced.ok()) {
    stores_.failures->set_unsure_head(state_.head);
    return synced;
  }
  NoteDurable(*state_.head);
  return {};
}

Result<StoredBlock> Dataset::ReadBlock(const Multihash& hash) const {
  ASSIGN_OR_RETURN(std::string bytes, stores_.files->Get(BlockName(hash)));
  if (const Multihash actual = odf::HashBlock(bytes); actual != hash) {
    return Corruption("block hash: its {} bytes hash to {}", bytes.size(), actual.ToString())
        .With("block " + hash.ToString());
  }
  auto block = odf::DecodeBlock(bytes);
  if (!block.ok()) return std::move(block).error().With("block " + hash.ToString());
  return StoredBlock{hash, std::move(bytes), std::move(*block)};
}

Status Dataset::WalkBack(const std::function<Result<bool>(const StoredBlock&)>& visit,
                         std::optional<Multihash> from) const {
  std::optional<Multihash> next = from ? from : state_.head;
  while (next) {
    auto block = ReadBlock(*next);
    if (!block.ok()) {
      if (block.error().code() != ErrorCode::kNotFound) return std::move(block).error();
      return Corruption("block {} is missing: the chain refers to it", next->ToString());
    }
    ASSIGN_OR_RETURN(const bool more, visit(*block));
    if (!more) return {};
    next = block->block.prev_block_hash;
  }
  return {};
}

Result<std::optional<std::vector<Dataset::SliceRef>>> Dataset::SlicesAfter(
    const std::optional<Multihash>& after) const {
  std::vector<SliceRef> slices;
  bool found = !after;
  RETURN_IF_ERROR(WalkBack([&](const StoredBlock& block) -> Result<bool> {
    if (after && block.hash == *after) {
      found = true;
      return false;
    }
    const DataView data = ViewData(block.block.event);
    if (data.slice) slices.push_back({block.hash, block.block.sequence_number, *data.slice});
    return true;
  }));
  if (!found) return std::optional<std::vector<SliceRef>>();
  std::reverse(slices.begin(), slices.end());
  return std::optional<std::vector<SliceRef>>(std::move(slices));
}

Result<bool> Dataset::IsAncestor(const Multihash& hash) const {
  if (state_.head == hash) return true;
  // The block itself says how far back it would have to be.
  const auto target = ReadBlock(hash);
  if (!target.ok() && target.error().code() == ErrorCode::kNotFound) return false;
  const uint64_t sequence = target.ok() ? target->block.sequence_number : 0;
  bool found = false;
  RETURN_IF_ERROR(WalkBack([&](const StoredBlock& block) -> Result<bool> {
    found = block.hash == hash;
    return !found && block.block.sequence_number > sequence;
  }));
  return found;
}

Instant Dataset::NextSystemTime(const Clock& clock) const {
  return std::max(clock.Now(), state_.system_time);
}

Result<ChainState> Dataset::Preview(const std::vector<odf::MetadataEvent>& events,
                                    Instant system_time) const {
  ChainState next = state_;
  for (const auto& event : events) {
    odf::MetadataBlock block;
    block.system_time = next.head ? std::max(system_time, next.system_time) : system_time;
    block.prev_block_hash = next.head;
    block.sequence_number = next.head ? next.sequence + 1 : 0;
    block.event = event;
    ASSIGN_OR_RETURN(const auto bytes, odf::EncodeBlock(block));
    RETURN_IF_ERROR(next.Apply(block, odf::HashBlock(bytes)));
  }
  return next;
}

Status Dataset::Append(odf::MetadataBlock block, odf::Judging judging, NewBlocks* blocks) {
  block.prev_block_hash = blocks->state.head;
  block.sequence_number = blocks->state.head ? blocks->state.sequence + 1 : 0;
  ASSIGN_OR_RETURN(std::string bytes, odf::EncodeBlock(block));
  const Multihash hash = odf::HashBlock(bytes);
  RETURN_IF_ERROR(blocks->state.Apply(block, hash, judging));
  blocks->bytes.push_back(std::move(bytes));
  blocks->hashes.push_back(hash);
  if (const DataView data = ViewData(block.event); data.slice)
    blocks->slices.push_back(data.slice->physical_hash);
  return {};
}

Result<CommitResult> Dataset::Commit(CommitRequest request) {
  if (request.events.empty()) return Internal("a commit without events");
  NewBlocks blocks{.state = state_};
  for (auto& event : request.events) {
    odf::MetadataBlock block;
    block.system_time = request.system_time;
    if (blocks.state.head) block.system_time = std::max(request.system_time, blocks.state.system_time);
    block.event = std::move(event);
    RETURN_IF_ERROR(Append(std::move(block), odf::Judging::kAppend, &blocks));
  }
  return Publish(std::move(blocks), std::move(request.slices), request.before_head);
}

Status Dataset::CheckSlices(const NewBlocks& blocks, const std::vector<StagedSlice>& slices) const {
  for (const Multihash& hash : blocks.slices) {
    const bool given = std::any_of(slices.begin(), slices.end(),
                                   [&](const StagedSlice& slice) { return slice.physical_hash == hash; });
    if (given) continue;
    ASSIGN_OR_RETURN(const bool stored, stores_.files->Exists(DataName(hash)));
    if (!stored)
      return InvalidArgument("ObjectNotFound: '{}' is neither stored nor part of the commit", DataName(hash));
  }
  return {};
}

Status Dataset::MoveHead(const Multihash& head) {
  std::optional<std::string> expected;
  if (state_.head) expected = state_.head->ToString();
  std::lock_guard lock(stores_.failures->head_mutex());
  Status moved = stores_.files->CompareAndSwap(kHeadName, expected, head.ToString());
  if (!moved.ok() && moved.error().code() == ErrorCode::kCommitUnknown)
    stores_.failures->set_unsure_head(head);
  return moved;
}

// The state may come from what was derived earlier: nothing is built on a block that is lost or altered, and
// nothing answered from it.
Status Dataset::CheckHeadBlock() {
  if (!state_.head || checked_head_ == state_.head) return {};
  auto block = ReadBlock(*state_.head);
  if (!block.ok() && IsRetryable(block.error().code())) return std::move(block).error();
  if (!block.ok()) {
    return Corruption(
        "the newest block is lost or altered, nothing was committed: {}; 'sluice verify' tells more",
        block.error().ToString());
  }
  checked_head_ = state_.head;
  return {};
}

Result<CommitResult> Dataset::Publish(NewBlocks blocks, std::vector<StagedSlice> slices,
                                      const std::function<Status(const CommitResult&)>& before_head) {
  RETURN_IF_ERROR(CheckSlices(blocks, slices));
  if (state_.head) RETURN_IF_ERROR(EnsureDurable());
  // Slices and blocks durable, in any order; then the head (decisions.md 12).
  std::vector<std::pair<storage::StagedFile*, std::string>> files;
  for (auto& slice : slices) files.emplace_back(slice.file.get(), DataName(slice.physical_hash));
  std::vector<std::pair<std::string, std::string>> objects;
  for (size_t i = 0; i < blocks.bytes.size(); ++i) {
    objects.emplace_back(BlockName(blocks.hashes[i]), std::move(blocks.bytes[i]));
  }
  RETURN_IF_ERROR(stores_.files->CommitAll(files, objects));
  const Multihash new_head = blocks.hashes.back();
  CommitResult result{state_.head, new_head, std::move(blocks.hashes), blocks.state.sequence};
  if (before_head) RETURN_IF_ERROR(before_head(result));
  RETURN_IF_ERROR(MoveHead(new_head));

  state_ = std::move(blocks.state);
  checked_head_ = new_head;
  NoteCommit();
  return result;
}

Status Dataset::Reset(const Multihash& hash) {
  ASSIGN_OR_RETURN(const bool found, IsAncestor(hash));
  if (!found) return NotFound("block '{}' is not in the chain of this dataset", hash.ToString());
  ASSIGN_OR_RETURN(ChainState state, Derive(hash, ChainState()));
  RETURN_IF_ERROR(EnsureDurable());
  RETURN_IF_ERROR(MoveHead(hash));
  state_ = std::move(state);
  NoteDurable(hash);
  SaveState(state_);
  return {};
}

Result<Multihash> Dataset::ReplaceChain(std::vector<odf::MetadataBlock> blocks,
                                        std::vector<StagedSlice> slices,
                                        const std::function<Status(const CommitResult&)>& before_head) {
  NewBlocks next;
  for (auto& block : blocks) RETURN_IF_ERROR(Append(std::move(block), odf::Judging::kReplay, &next));
  if (!next.state.head || next.state.dataset_id != state_.dataset_id || next.state.kind != state_.kind) {
    return InvalidArgument("the new chain does not begin with the Seed of dataset '{}'",
                           state_.dataset_id.ToString());
  }
  ASSIGN_OR_RETURN(const auto result, Publish(std::move(next), std::move(slices), before_head));
  return result.new_head;
}

}  // namespace sluice::dataset

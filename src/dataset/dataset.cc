#include "dataset/dataset.h"

#include <algorithm>

namespace sluice::dataset {
namespace {

constexpr char kStateName[] = "chain-state";
constexpr char kDurableName[] = "durable-head";
constexpr size_t kCheckpointEvery = 4096;  // blocks between saves while a long chain is read for the first time

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
                                                 std::vector<odf::MetadataEvent> events, Instant system_time) {
  std::unique_ptr<Dataset> dataset(new Dataset(std::move(stores)));
  ASSIGN_OR_RETURN(auto head, ReadHash(*dataset->stores_.files, kHeadName));
  if (head) return MakeError(ErrorCode::kAlreadyExists, "dataset '{}' already has a chain", seed.dataset_id.ToString());
  CommitRequest request;
  request.system_time = system_time;
  request.events.push_back(seed);
  for (auto& event : events) request.events.push_back(std::move(event));
  ASSIGN_OR_RETURN(auto result, dataset->Commit(std::move(request)));
  return dataset;
}

Status Dataset::LoadState(const Multihash& head) {
  // What the cache knows is a prefix of the chain: read back to it, or to the Seed, and apply forwards.
  if (!state_.head) {
    if (auto bytes = stores_.derived->Get(kStateName); bytes.ok()) {
      if (auto cached = ChainState::Deserialize(*bytes); cached.ok()) state_ = std::move(*cached);
    }
  }
  if (state_.head == head) return {};

  std::vector<Multihash> pending;
  bool met_cache = false;
  RETURN_IF_ERROR(WalkBack(
      [&](const StoredBlock& block) -> Result<bool> {
        if (state_.head && block.hash == *state_.head) {
          met_cache = true;
          return false;
        }
        pending.push_back(block.hash);
        return true;
      },
      head));
  ChainState state = met_cache ? state_ : ChainState();
  size_t applied = 0;
  for (auto it = pending.rbegin(); it != pending.rend(); ++it) {
    ASSIGN_OR_RETURN(auto block, ReadBlock(*it));
    if (auto status = state.Apply(block.block, block.hash); !status.ok()) {
      return Corruption("the chain breaks a rule: {}", status.error().ToString()).With("block " + it->ToString());
    }
    if (++applied % kCheckpointEvery == 0) {
      state_ = state;
      SaveState();
    }
  }
  state_ = std::move(state);
  SaveState();
  return {};
}

void Dataset::SaveState() const {
  // Only a cache: what cannot be written is derived again.
  (void)stores_.derived->ReplaceUnsynced(kStateName, state_.Serialize()).ok();
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
  (void)stores_.derived->ReplaceUnsynced(kDurableName, head.ToString()).ok();
}

Status Dataset::EnsureDurable() {
  if (durable_head_ == state_.head) return {};
  auto known = ReadHash(*stores_.derived, kDurableName);
  if (known.ok() && *known == state_.head) {
    durable_head_ = state_.head;
    return {};
  }
  std::vector<std::string> names;
  bool met_known = false;
  if (known.ok() && *known) {
    RETURN_IF_ERROR(WalkBack([&](const StoredBlock& block) -> Result<bool> {
      if (block.hash == **known) {
        met_known = true;
        return false;
      }
      names.push_back(BlockName(block.hash));
      if (const auto* data = std::get_if<odf::AddData>(&block.block.event); data && data->new_data) {
        names.push_back(DataName(data->new_data->physical_hash));
      }
      return true;
    }));
  }
  if (met_known) {
    names.push_back(kHeadName);
    RETURN_IF_ERROR(stores_.files->Sync(names));
  } else {
    RETURN_IF_ERROR(stores_.files->SyncAll());
  }
  NoteDurable(*state_.head);
  return {};
}

Result<StoredBlock> Dataset::ReadBlock(const Multihash& hash) const {
  auto bytes = stores_.files->Get(BlockName(hash));
  if (!bytes.ok()) {
    if (bytes.error().code() == ErrorCode::kNotFound) {
      return Corruption("block {} is missing: the chain refers to it", hash.ToString());
    }
    return std::move(bytes).error();
  }
  if (odf::HashBlock(*bytes) != hash) {
    return Corruption("block hash: content of {} bytes hashes to {}", bytes->size(), odf::HashBlock(*bytes).ToString())
        .With("block " + hash.ToString());
  }
  auto block = odf::DecodeBlock(*bytes);
  if (!block.ok()) return std::move(block).error().With("block " + hash.ToString());
  return StoredBlock{hash, std::move(*bytes), std::move(*block)};
}

Status Dataset::WalkBack(const std::function<Result<bool>(const StoredBlock&)>& visit,
                         std::optional<Multihash> from) const {
  std::optional<Multihash> next = from ? from : state_.head;
  while (next) {
    ASSIGN_OR_RETURN(auto block, ReadBlock(*next));
    ASSIGN_OR_RETURN(bool more, visit(block));
    if (!more) return {};
    next = block.block.prev_block_hash;
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
    const std::optional<odf::DataSlice>* data = nullptr;
    if (const auto* add = std::get_if<odf::AddData>(&block.block.event)) data = &add->new_data;
    if (const auto* run = std::get_if<odf::ExecuteTransform>(&block.block.event)) data = &run->new_data;
    if (data && *data) slices.push_back({block.hash, block.block.sequence_number, **data});
    return true;
  }));
  if (!found) return std::optional<std::vector<SliceRef>>();
  std::reverse(slices.begin(), slices.end());
  return std::optional<std::vector<SliceRef>>(std::move(slices));
}

Result<bool> Dataset::IsAncestor(const Multihash& hash) const {
  bool found = false;
  RETURN_IF_ERROR(WalkBack([&](const StoredBlock& block) -> Result<bool> {
    found = block.hash == hash;
    return !found;
  }));
  return found;
}

Instant Dataset::NextSystemTime(const Clock& clock) const { return std::max(clock.Now(), state_.system_time); }

Result<ChainState> Dataset::Preview(const std::vector<odf::MetadataEvent>& events, Instant system_time) const {
  ChainState next = state_;
  for (const auto& event : events) {
    odf::MetadataBlock block;
    block.system_time = next.head ? std::max(system_time, next.system_time) : system_time;
    block.prev_block_hash = next.head;
    block.sequence_number = next.head ? next.sequence + 1 : 0;
    block.event = event;
    RETURN_IF_ERROR(next.Apply(block, odf::HashBlock(odf::EncodeBlock(block))));
  }
  return next;
}

Result<CommitResult> Dataset::Commit(CommitRequest request) {
  if (request.events.empty()) return Internal("a commit without events");
  ChainState next = state_;
  std::vector<std::string> bytes;
  std::vector<Multihash> hashes;
  for (auto& event : request.events) {
    odf::MetadataBlock block;
    block.system_time = next.head ? std::max(request.system_time, next.system_time) : request.system_time;
    block.prev_block_hash = next.head;
    block.sequence_number = next.head ? next.sequence + 1 : 0;
    block.event = std::move(event);
    bytes.push_back(odf::EncodeBlock(block));
    hashes.push_back(odf::HashBlock(bytes.back()));
    RETURN_IF_ERROR(next.Apply(block, hashes.back()));
  }
  return Publish(std::move(next), std::move(bytes), std::move(hashes), std::move(request.slices));
}

Result<CommitResult> Dataset::Publish(ChainState next, std::vector<std::string> bytes, std::vector<Multihash> hashes,
                                      std::vector<StagedSlice> slices) {
  if (state_.head) RETURN_IF_ERROR(EnsureDurable());
  // Slices and blocks durable, in any order; then the head (decisions.md 12).
  for (auto& slice : slices) RETURN_IF_ERROR(slice.file->Commit(DataName(slice.physical_hash)));
  std::vector<std::pair<std::string, std::string>> objects;
  for (size_t i = 0; i < bytes.size(); ++i) objects.emplace_back(BlockName(hashes[i]), std::move(bytes[i]));
  RETURN_IF_ERROR(stores_.files->PutAllIfAbsent(objects));

  std::optional<std::string> expected;
  if (state_.head) expected = state_.head->ToString();
  RETURN_IF_ERROR(stores_.files->CompareAndSwap(kHeadName, expected, hashes.back().ToString()));

  CommitResult result{state_.head, hashes.back(), std::move(hashes), next.sequence};
  state_ = std::move(next);
  NoteDurable(*state_.head);
  SaveState();
  return result;
}

Status Dataset::Reset(const Multihash& hash) {
  ASSIGN_OR_RETURN(bool found, IsAncestor(hash));
  if (!found) return NotFound("block '{}' is not in the chain of this dataset", hash.ToString());
  RETURN_IF_ERROR(EnsureDurable());
  RETURN_IF_ERROR(stores_.files->CompareAndSwap(kHeadName, state_.head->ToString(), hash.ToString()));
  state_ = ChainState();
  RETURN_IF_ERROR(stores_.derived->Delete(kStateName));
  RETURN_IF_ERROR(LoadState(hash));
  NoteDurable(hash);
  return {};
}

Result<Multihash> Dataset::ReplaceChain(std::vector<odf::MetadataBlock> blocks, std::vector<StagedSlice> slices) {
  ChainState next;
  std::vector<std::string> bytes;
  std::vector<Multihash> hashes;
  for (auto& block : blocks) {
    block.prev_block_hash = next.head;
    block.sequence_number = next.head ? next.sequence + 1 : 0;
    bytes.push_back(odf::EncodeBlock(block));
    hashes.push_back(odf::HashBlock(bytes.back()));
    RETURN_IF_ERROR(next.Apply(block, hashes.back()));
  }
  ASSIGN_OR_RETURN(auto result, Publish(std::move(next), std::move(bytes), std::move(hashes), std::move(slices)));
  return result.new_head;
}

}  // namespace sluice::dataset

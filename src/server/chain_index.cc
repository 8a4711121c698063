#include "server/chain_index.h"

namespace sluice::server {
namespace {

// About 64 bytes each.
constexpr size_t kMaxEntries = 2'000'000;

}  // namespace

void ChainIndexes::Note(const dataset::StoredBlock& block,
                        std::unordered_map<multiformats::Multihash, uint8_t>* kinds) {
  const auto add = [&](const multiformats::Multihash& hash, Kind kind) {
    (*kinds)[hash] |= static_cast<uint8_t>(kind);
  };
  add(block.hash, Kind::kBlock);
  const auto note = [&](const auto& event) {
    if (event.new_data) add(event.new_data->physical_hash, Kind::kData);
    if (event.new_checkpoint) add(event.new_checkpoint->physical_hash, Kind::kCheckpoint);
  };
  if (const auto* data = std::get_if<odf::AddData>(&block.block.event)) note(*data);
  if (const auto* data = std::get_if<odf::ExecuteTransform>(&block.block.event)) note(*data);
}

bool ChainIndexes::Has(const Index& index, Kind kind, const multiformats::Multihash& hash) {
  const auto it = index.kinds.find(hash);
  return it != index.kinds.end() && (it->second & static_cast<uint8_t>(kind)) != 0;
}

Status ChainIndexes::CatchUp(const dataset::Dataset& dataset, Index* index) {
  if (index->head == dataset.head()) return {};
  const uint64_t sequence = dataset.state().sequence;
  std::unordered_map<multiformats::Multihash, uint8_t> found;
  bool is_met = false;
  if (index->head && sequence > index->sequence) {
    // The old head stands at its number, or is not in this chain.
    RETURN_IF_ERROR(dataset.WalkBack([&](const dataset::StoredBlock& block) -> Result<bool> {
      if (block.block.sequence_number <= index->sequence) {
        is_met = block.hash == *index->head;
        return false;
      }
      Note(block, &found);
      return true;
    }));
  }
  if (is_met) {
    for (const auto& [hash, kinds] : found) index->kinds[hash] |= kinds;
  } else {
    index->kinds.clear();
    index->next = dataset.head();
  }
  index->head = dataset.head();
  index->sequence = sequence;
  return {};
}

Result<bool> ChainIndexes::Holds(dataset::Dataset& dataset, Kind kind, const multiformats::Multihash& hash) {
  const auto id = dataset.state().dataset_id;
  std::shared_ptr<Index> index;
  {
    std::lock_guard lock(mutex_);
    auto& known = indexes_[id];
    if (!known) known = std::make_shared<Index>();
    known->used = ++turns_;
    index = known;
  }
  bool holds = false;
  size_t size = 0;
  {
    std::lock_guard lock(index->mutex);
    RETURN_IF_ERROR(dataset.Refresh());
    RETURN_IF_ERROR(CatchUp(dataset, index.get()));
    holds = Has(*index, kind, hash);
    if (!holds && index->next) {
      RETURN_IF_ERROR(dataset.WalkBack(
          [&](const dataset::StoredBlock& block) -> Result<bool> {
            Note(block, &index->kinds);
            index->next = block.block.prev_block_hash;
            holds = Has(*index, kind, hash);
            return !holds;
          },
          index->next));
    }
    size = index->kinds.size();
  }
  std::lock_guard lock(mutex_);
  index->size = size;
  Shrink(id);
  return holds;
}

// Under mutex_.
void ChainIndexes::Shrink(const multiformats::DatasetId& keep) {
  size_t total = 0;
  for (const auto& [id, index] : indexes_) total += index->size;
  while (total > kMaxEntries && indexes_.size() > 1) {
    auto oldest = indexes_.end();
    for (auto it = indexes_.begin(); it != indexes_.end(); ++it) {
      if (it->first != keep && (oldest == indexes_.end() || it->second->used < oldest->second->used))
        oldest = it;
    }
    if (oldest == indexes_.end()) return;
    total -= oldest->second->size;
    indexes_.erase(oldest);
  }
}

void ChainIndexes::Forget(const multiformats::DatasetId& id) {
  std::lock_guard lock(mutex_);
  indexes_.erase(id);
}

}  // namespace sluice::server

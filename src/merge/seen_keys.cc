#include "merge/seen_keys.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace sluice::merge {
namespace {

constexpr size_t kChunkUnits = 1 << 17;  // 1 MiB
constexpr size_t kRoomChunks = 64;       // of a block outside of memory
constexpr size_t kBlock = 64;            // keys whose slots are fetched ahead
constexpr size_t kMaxPlaces = size_t{1} << 32;
constexpr uint32_t kAbandoned = 0xffffffff;

}  // namespace

SeenKeys::SeenKeys(uint64_t seed, KeyMemory memory)
    : seed_(seed),
      memory_(memory),
      heap_bytes_((size_t{1} << bits_) * sizeof(uint64_t)),
      slots_(std::make_shared<uint64_t[]>(size_t{1} << bits_)) {}

SeenKeys::Record* SeenKeys::At(uint32_t place) const {
  return reinterpret_cast<Record*>(chunks_[place / kChunkUnits] + place % kChunkUnits);
}

uint32_t SeenKeys::batch_of(uint32_t place) const { return At(place)->batch; }
void SeenKeys::MarkBefore(uint32_t place) { At(place)->batch = 0; }

bool SeenKeys::FitsHeap(size_t units) const {
  return memory_.room == nullptr || heap_bytes_ + units * sizeof(uint64_t) <= memory_.heap_bytes;
}

Result<SeenKeys::Units> SeenKeys::Get(size_t units) {
  if (!FitsHeap(units)) return memory_.room->Get(units);
  heap_bytes_ += units * sizeof(uint64_t);
  return std::make_shared<uint64_t[]>(units);
}

Status SeenKeys::AddBlock(size_t units) {
  // A place of its own where a key is larger than a chunk.
  size_t chunks = (units + kChunkUnits) / kChunkUnits;
  if (!FitsHeap(chunks * kChunkUnits)) chunks = std::max(chunks, kRoomChunks);
  if ((chunks_.size() + chunks) * kChunkUnits > kMaxPlaces) {
    return MakeError(ErrorCode::kResourceExhausted,
                     "the keys of one input take more than 32 GiB; ingest it in parts");
  }
  ASSIGN_OR_RETURN(auto block, Get(chunks * kChunkUnits));
  next_ = std::max<size_t>(1, chunks_.size() * kChunkUnits);
  for (size_t i = 0; i < chunks; ++i) chunks_.push_back(block.get() + i * kChunkUnits);
  blocks_.push_back(std::move(block));
  return {};
}

uint32_t SeenKeys::Append(std::string_view key, uint32_t batch) {
  const size_t units = (sizeof(Record) + key.size() + 7) / 8;
  const size_t room = chunks_.size() * kChunkUnits - std::min(next_, chunks_.size() * kChunkUnits);
  if (room < units) {
    failure_ = AddBlock(units);
    if (!failure_.ok()) return 0;
  }
  const auto place = static_cast<uint32_t>(next_);
  next_ += units;
  Record* record = At(place);
  record->batch = batch;
  record->size = static_cast<uint32_t>(key.size());
  std::memcpy(record->bytes(), key.data(), key.size());
  return place;
}

SeenKeys::Entry SeenKeys::InsertOne(std::string_view key, uint32_t tag, uint32_t batch) {
  const size_t mask = (size_t{1} << bits_) - 1;
  for (size_t position = tag >> (32 - bits_);; position = (position + 1) & mask) {
    const uint64_t slot = slots_[position];
    if (slot == 0) {
      const uint32_t place = Append(key, batch);
      if (place == 0) return {0, false};
      slots_[position] = uint64_t{tag} << 32 | place;
      ++used_;
      return {place, true};
    }
    if (slot >> 32 != tag) continue;
    const auto place = static_cast<uint32_t>(slot);
    Record* record = At(place);
    if (record->size != key.size() || std::memcmp(record->bytes(), key.data(), key.size()) != 0) continue;
    const bool fresh = record->batch == kAbandoned;
    if (fresh) record->batch = batch;
    return {place, fresh};
  }
}

Status SeenKeys::Reserve(size_t more) {
  while ((used_ + more) * 4 > (size_t{1} << bits_) * 3) {
    const size_t old_count = size_t{1} << bits_;
    const bool in_heap = FitsHeap(2 * old_count);
    ASSIGN_OR_RETURN(auto slots, Get(2 * old_count));
    ++bits_;
    const size_t mask = 2 * old_count - 1;
    for (size_t i = 0; i < old_count; ++i) {
      const uint64_t slot = slots_[i];
      if (slot == 0) continue;
      size_t position = slot >> (64 - bits_);
      while (slots[position] != 0) position = (position + 1) & mask;
      slots[position] = slot;
    }
    if (slots_in_heap_) heap_bytes_ -= old_count * sizeof(uint64_t);
    slots_ = std::move(slots);
    slots_in_heap_ = in_heap;
  }
  return {};
}

Status SeenKeys::Insert(const columnar::PackedBytes& keys, uint32_t batch, std::vector<Entry>* entries) {
  entries->clear();
  entries->reserve(keys.size());
  uint32_t tags[kBlock];
  for (size_t start = 0; start < keys.size(); start += kBlock) {
    const size_t count = std::min(kBlock, keys.size() - start);
    RETURN_IF_ERROR(Reserve(count));
    for (size_t i = 0; i < count; ++i) {
      const std::string_view key = keys[start + i];
      tags[i] = static_cast<uint32_t>(XXH3_64bits_withSeed(key.data(), key.size(), seed_) >> 32);
      __builtin_prefetch(&slots_[tags[i] >> (32 - bits_)], 1);
    }
    for (size_t i = 0; i < count; ++i) {
      entries->push_back(InsertOne(keys[start + i], tags[i], batch));
      if (!failure_.ok()) return std::exchange(failure_, {});
    }
  }
  return {};
}

void SeenKeys::Abandon(uint32_t batch) {
  for (size_t i = 0; i < size_t{1} << bits_; ++i) {
    const uint64_t slot = slots_[i];
    if (slot == 0) continue;
    Record* record = At(static_cast<uint32_t>(slot));
    if (record->batch == batch) record->batch = kAbandoned;
  }
}

}  // namespace sluice::merge

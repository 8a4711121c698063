#include "merge/seen_keys.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstring>

namespace sluice::merge {
namespace {

constexpr size_t kChunkUnits = 1 << 17;  // 1 MiB
constexpr size_t kBlock = 64;            // keys whose slots are fetched ahead
constexpr uint32_t kAbandoned = 0xffffffff;

}  // namespace

SeenKeys::SeenKeys(uint64_t seed) : seed_(seed), slots_(size_t{1} << bits_, 0) {}

SeenKeys::Record* SeenKeys::At(uint32_t place) const {
  return reinterpret_cast<Record*>(chunks_[place / kChunkUnits] + place % kChunkUnits);
}

uint32_t SeenKeys::batch_of(uint32_t place) const { return At(place)->batch; }
void SeenKeys::MarkBefore(uint32_t place) { At(place)->batch = 0; }

uint32_t SeenKeys::Append(std::string_view key, uint32_t batch) {
  const size_t units = (sizeof(Record) + key.size() + 7) / 8;
  const size_t room = chunks_.size() * kChunkUnits - std::min(next_, chunks_.size() * kChunkUnits);
  if (room < units) {
    const size_t chunks =
        (units + kChunkUnits) / kChunkUnits;  // a place of its own where a key is larger than a chunk
    next_ = std::max<size_t>(1, chunks_.size() * kChunkUnits);
    blocks_.push_back(std::make_unique_for_overwrite<uint64_t[]>(chunks * kChunkUnits));
    for (size_t i = 0; i < chunks; ++i) chunks_.push_back(blocks_.back().get() + i * kChunkUnits);
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
  const size_t mask = slots_.size() - 1;
  for (size_t position = tag >> (32 - bits_);; position = (position + 1) & mask) {
    const uint64_t slot = slots_[position];
    if (slot == 0) {
      const uint32_t place = Append(key, batch);
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

void SeenKeys::Reserve(size_t more) {
  while ((used_ + more) * 4 > slots_.size() * 3) {
    std::vector<uint64_t> old(slots_.size() * 2, 0);
    old.swap(slots_);
    ++bits_;
    const size_t mask = slots_.size() - 1;
    for (uint64_t slot : old) {
      if (slot == 0) continue;
      size_t position = slot >> (64 - bits_);
      while (slots_[position] != 0) position = (position + 1) & mask;
      slots_[position] = slot;
    }
  }
}

void SeenKeys::Insert(const columnar::PackedBytes& keys, uint32_t batch, std::vector<Entry>* entries) {
  entries->clear();
  entries->reserve(keys.size());
  uint32_t tags[kBlock];
  for (size_t start = 0; start < keys.size(); start += kBlock) {
    const size_t count = std::min(kBlock, keys.size() - start);
    Reserve(count);
    for (size_t i = 0; i < count; ++i) {
      const std::string_view key = keys[start + i];
      tags[i] = static_cast<uint32_t>(XXH3_64bits_withSeed(key.data(), key.size(), seed_) >> 32);
      __builtin_prefetch(&slots_[tags[i] >> (32 - bits_)], 1);
    }
    for (size_t i = 0; i < count; ++i) entries->push_back(InsertOne(keys[start + i], tags[i], batch));
  }
}

void SeenKeys::Abandon(uint32_t batch) {
  for (uint64_t slot : slots_) {
    if (slot == 0) continue;
    Record* record = At(static_cast<uint32_t>(slot));
    if (record->batch == batch) record->batch = kAbandoned;
  }
}

}  // namespace sluice::merge

#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "columnar/keys.h"
#include "merge/key_room.h"

namespace sluice::merge {

// The keys that a group of Ledger batches has met, each with the batch that brought it. Compares whole keys;
// the hash has a random seed, so that no input can be made to collide. About 20 bytes a key beside its own:
// in memory up to a limit, then in the caller's room. Confined to one thread.
//
// An open-addressing table of 8-byte slots: 32 bits of hash, of which the upper ones are the home position,
// and the place of the record (batch, length, bytes) in an arena of 8-byte units. A new key touches one slot
// and the arena's end.
class SeenKeys {
 public:
  explicit SeenKeys(uint64_t seed, KeyMemory memory = {});
  SeenKeys(const SeenKeys&) = delete;
  SeenKeys& operator=(const SeenKeys&) = delete;

  struct Entry {
    uint32_t place;  // of the key's record
    bool fresh;      // this row is the first of its key
  };
  // Adds what is not there under `batch` (1 or more); one entry per key, in order. Errors: kResourceExhausted
  // for more than 32 GiB of keys; those of the room. The batch is to be abandoned then.
  Status Insert(const columnar::PackedBytes& keys, uint32_t batch, std::vector<Entry>* entries);
  // The batch that brought the key; 0 when it was there before the group.
  uint32_t batch_of(uint32_t place) const;
  void MarkBefore(uint32_t place);
  // Forgets the keys that `batch` brought.
  void Abandon(uint32_t batch);

 private:
  struct Record {
    uint32_t batch;
    uint32_t size;
    const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
    char* bytes() { return reinterpret_cast<char*>(this + 1); }
  };

  using Units = std::shared_ptr<uint64_t[]>;

  Record* At(uint32_t place) const;
  // Zero when there is no room for it.
  uint32_t Append(std::string_view key, uint32_t batch);
  Status AddBlock(size_t units);
  Entry InsertOne(std::string_view key, uint32_t tag, uint32_t batch);
  Status Reserve(size_t more);
  bool FitsHeap(size_t units) const;
  Result<Units> Get(size_t units);

  const uint64_t seed_;
  const KeyMemory memory_;
  int bits_ = 12;
  size_t heap_bytes_ = 0;
  size_t used_ = 0;
  Units slots_;  // 1 << bits_ of tag << 32 | place; 0: free
  bool slots_in_heap_ = true;
  std::vector<Units> blocks_;
  std::vector<uint64_t*> chunks_;  // where each kChunkUnits units of places lie
  size_t next_ = 1;                // first free place
  Status failure_;                 // of the last key that found no room
};

}  // namespace sluice::merge

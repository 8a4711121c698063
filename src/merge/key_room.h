#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/result.h"

namespace sluice::merge {

// Room for the keys of a large input outside the process's own memory. The caller of a merge implements it,
// because a merge does no input or output itself.
class KeyRoom {
 public:
  virtual ~KeyRoom() = default;
  // So many units of 8 bytes, all zero, given back with their last holder, which may outlive the room.
  // Errors: kResourceExhausted when the disk is full; what making a file brings.
  virtual Result<std::shared_ptr<uint64_t[]>> Get(size_t units) = 0;
};

struct KeyMemory {
  KeyRoom* room = nullptr;  // null: everything in memory. Outlives the merge
  size_t heap_bytes = size_t{256} << 20;
};

}  // namespace sluice::merge

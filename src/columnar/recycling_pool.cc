#include <arrow/status.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "columnar/recycling_pool_internal.h"

namespace sluice::columnar {
namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kHeaderBytes = kAlignment;  // before each buffer: the size of its block
constexpr int64_t kMinBlockBytes = 256;
constexpr int64_t kMaxBufferBytes = int64_t{1} << 40;

alignas(kAlignment) uint8_t empty_buffer[kAlignment];

int64_t BlockBytes(int64_t size) {
  return static_cast<int64_t>(
      std::bit_ceil(static_cast<uint64_t>(std::max(size + kHeaderBytes, kMinBlockBytes))));
}

int64_t BlockBytesOf(const uint8_t* buffer) {
  int64_t bytes;
  std::memcpy(&bytes, buffer - kHeaderBytes, sizeof(bytes));
  return bytes;
}

}  // namespace

RecyclingPool::~RecyclingPool() {
  for (const auto& [bytes, blocks] : free_) {
    for (uint8_t* block : blocks) source_->Free(block, bytes, kAlignment);
  }
}

arrow::Status RecyclingPool::Allocate(int64_t size, int64_t alignment, uint8_t** out) {
  if (size < 0 || alignment > kAlignment) return arrow::Status::Invalid("bad allocation of ", size, " bytes");
  if (size > kMaxBufferBytes) return arrow::Status::OutOfMemory("allocation of ", size, " bytes");
  if (size == 0) {
    // Counted as any other: its owner calls Free too, and that must find the pool.
    MutexLock lock(mutex_);
    ++in_use_;
    *out = empty_buffer;
    return arrow::Status::OK();
  }
  const int64_t bytes = BlockBytes(size);
  uint8_t* block = nullptr;
  {
    MutexLock lock(mutex_);
    auto& blocks = free_[bytes];
    if (!blocks.empty()) {
      block = blocks.back();
      blocks.pop_back();
    }
    ++in_use_;
  }
  if (block == nullptr) {
    if (auto status = source_->Allocate(bytes, kAlignment, &block); !status.ok()) {
      MutexLock lock(mutex_);
      --in_use_;
      return status;
    }
  }
  std::memcpy(block, &bytes, sizeof(bytes));
  *out = block + kHeaderBytes;
  bytes_ += size;
  total_bytes_ += size;
  ++allocations_;
  return arrow::Status::OK();
}

arrow::Status RecyclingPool::Reallocate(int64_t old_size, int64_t new_size, int64_t alignment,
                                        uint8_t** ptr) {
  const bool fits = old_size > 0 && new_size > 0 && new_size + kHeaderBytes <= BlockBytesOf(*ptr);
  if (fits) {
    bytes_ += new_size - old_size;
    return arrow::Status::OK();
  }
  uint8_t* moved = nullptr;
  ARROW_RETURN_NOT_OK(Allocate(new_size, alignment, &moved));
  std::memcpy(moved, *ptr, static_cast<size_t>(std::min(old_size, new_size)));
  Free(*ptr, old_size, alignment);
  *ptr = moved;
  return arrow::Status::OK();
}

void RecyclingPool::Free(uint8_t* buffer, int64_t size, int64_t) {
  const bool is_empty = buffer == empty_buffer;
  const int64_t bytes = is_empty ? 0 : BlockBytesOf(buffer);
  bytes_ -= size;
  bool last = false;
  {
    MutexLock lock(mutex_);
    --in_use_;
    if (!retired_) {
      if (!is_empty) free_[bytes].push_back(buffer - kHeaderBytes);
      return;
    }
    last = in_use_ == 0;
  }
  if (!is_empty) source_->Free(buffer - kHeaderBytes, bytes, kAlignment);
  if (last) delete this;
}

void RecyclingPool::Retire() {
  {
    MutexLock lock(mutex_);
    retired_ = true;
    if (in_use_ > 0) {
      for (const auto& [bytes, blocks] : free_) {
        for (uint8_t* block : blocks) source_->Free(block, bytes, kAlignment);
      }
      free_.clear();
      return;
    }
  }
  delete this;
}

}  // namespace sluice::columnar

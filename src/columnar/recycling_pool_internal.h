#pragma once

#include <arrow/memory_pool.h>

#include <atomic>
#include <map>
#include <vector>

#include "base/mutex.h"

namespace sluice::columnar {

// Keeps freed blocks for the next request of their size class. Encoding a slice allocates and frees the same
// few large buffers over and over; given back to the system each time, the kernel clears every page anew,
// which costs as much as the encoding itself. Blocks are released when the pool goes, which must be after all
// its buffers. Thread-safe.
class RecyclingPool final : public arrow::MemoryPool {
 public:
  explicit RecyclingPool(arrow::MemoryPool* source) : source_(source) {}
  ~RecyclingPool() override;

  using arrow::MemoryPool::Allocate;
  using arrow::MemoryPool::Free;
  using arrow::MemoryPool::Reallocate;
  arrow::Status Allocate(int64_t size, int64_t alignment, uint8_t** out) override;
  arrow::Status Reallocate(int64_t old_size, int64_t new_size, int64_t alignment, uint8_t** ptr) override;
  void Free(uint8_t* buffer, int64_t size, int64_t alignment) override;

  int64_t bytes_allocated() const override { return bytes_; }
  int64_t total_bytes_allocated() const override { return total_bytes_; }
  int64_t num_allocations() const override { return allocations_; }
  std::string backend_name() const override { return source_->backend_name(); }

 private:
  arrow::MemoryPool* source_;
  Mutex mutex_;
  std::map<int64_t, std::vector<uint8_t*>> free_ GUARDED_BY(mutex_);  // blocks by size
  std::atomic<int64_t> bytes_ = 0;
  std::atomic<int64_t> total_bytes_ = 0;
  std::atomic<int64_t> allocations_ = 0;
};

}  // namespace sluice::columnar

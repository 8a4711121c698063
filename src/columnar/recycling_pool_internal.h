#pragma once

#include <arrow/memory_pool.h>

#include <atomic>
#include <map>
#include <memory>
#include <vector>

#include "base/mutex.h"

namespace sluice::columnar {

// Keeps freed blocks for the next request of their size class. Encoding or decoding a slice allocates and
// frees the same few large buffers over and over; given back to the system each time, the kernel clears every
// page anew, which costs as much as the encoding itself. The pool must outlive its buffers; where those are
// handed on to others, it is kept by a RecyclingPoolOwner. Thread-safe.
class RecyclingPool final : public arrow::MemoryPool {
 public:
  explicit RecyclingPool(arrow::MemoryPool* source) : source_(source) {}
  ~RecyclingPool() override;

  // Keeps no block any longer, and deletes the pool together with its last buffer.
  void Retire() EXCLUDES(mutex_);

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
  int64_t in_use_ GUARDED_BY(mutex_) = 0;                             // blocks
  bool retired_ GUARDED_BY(mutex_) = false;
  std::atomic<int64_t> bytes_ = 0;
  std::atomic<int64_t> total_bytes_ = 0;
  std::atomic<int64_t> allocations_ = 0;
};

// For a pool whose buffers may be in use longer than what allocated them.
struct RetirePool {
  void operator()(RecyclingPool* pool) const { pool->Retire(); }
};
using RecyclingPoolOwner = std::unique_ptr<RecyclingPool, RetirePool>;

}  // namespace sluice::columnar

#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "index/guarded_index.h"
#include "storage/file_lock.h"

namespace sluice::workspace {

// Opens the key index; one that is damaged is derived anew.
Result<std::unique_ptr<index::KeyIndex>> OpenIndex(const std::string& folder);

// What a process keeps that holds the workspace: its lock, and one index that commits use by turns.
// Thread-safe.
class Holding {
 public:
  Holding(std::string index_folder, std::unique_ptr<storage::FileLock> lock)
      : index_folder_(std::move(index_folder)), lock_(std::move(lock)) {}
  ~Holding();

  // For changes of names. Errors: kUnavailable.
  Result<std::unique_lock<std::timed_mutex>> LockNames(std::chrono::milliseconds wait);
  // `dataset` is given up with what is returned.
  std::unique_ptr<index::GuardedIndex> Begin(std::unique_ptr<storage::FileLock> dataset);

 private:
  friend class HeldIndex;
  const std::string index_folder_;
  std::unique_ptr<storage::FileLock> lock_;
  std::timed_mutex names_;
  std::mutex index_mutex_;
  std::unique_ptr<index::KeyIndex> index_;  // under index_mutex_
};

}  // namespace sluice::workspace

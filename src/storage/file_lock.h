#pragma once

#include <chrono>
#include <memory>
#include <stop_token>
#include <string>

#include "base/result.h"

namespace sluice::storage {

// A kernel lock (open file description lock) on a file that stays in place. Held between processes and
// between objects of one process; released by the kernel when the process ends; never broken by a time-out.
// Confined to its owner.
class FileLock {
 public:
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  // Waits at most `wait`. Errors: kUnavailable after that, naming the file and the holder's process id if
  // known; kCancelled.
  static Result<std::unique_ptr<FileLock>> Acquire(const std::string& path, std::chrono::milliseconds wait,
                                                   std::stop_token stop = {});

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace sluice::storage

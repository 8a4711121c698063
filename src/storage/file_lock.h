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
  // Several may hold it shared, or one as above. Where the lock cannot be made because the medium or the
  // folder is not ours to write, nobody who could hold it alone is expected either: that is a success without
  // a lock. Errors: as Acquire.
  static Result<std::unique_ptr<FileLock>> AcquireShared(const std::string& path,
                                                         std::chrono::milliseconds wait,
                                                         std::stop_token stop = {});

 private:
  FileLock(int fd, bool is_shared) : fd_(fd), is_shared_(is_shared) {}
  static Result<std::unique_ptr<FileLock>> Wait(int fd, bool is_shared, const std::string& path,
                                                std::chrono::milliseconds wait, const std::stop_token& stop);
  int fd_;
  bool is_shared_;
};

}  // namespace sluice::storage

#pragma once

#include <cerrno>
#include <map>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "storage/disk.h"

namespace sluice::storage {

// The real disk with a memory and a grudge: records every call that changes something, and spoils the n-th.
// Thread-safe.
class FaultyDisk final : public Disk {
 public:
  enum class Fault {
    kFail,        // the call fails and has no effect
    kShortWrite,  // a write takes half of its bytes; other calls are left alone
    kTornWrite,   // a write takes half of its bytes, then fails
    kInterrupt,   // EINTR once
    kHalt,        // this call and all later ones fail, as if the process had been killed just before
  };
  struct Plan {
    uint64_t at_call = 0;  // counted from 1; 0 = no fault
    Fault fault = Fault::kFail;
    int error = EIO;
    std::string only;  // count calls of this name alone, such as "sync"
  };

  void SetPlan(Plan plan) EXCLUDES(mutex_);
  uint64_t calls() const EXCLUDES(mutex_);
  bool fired() const EXCLUDES(mutex_);
  // `open a`, `write a`, `sync a`, `rename a b`, `folder a`, ..., paths shortened by `prefix`, temporary
  // names as `*`.
  std::vector<std::string> Calls(const std::string& prefix) const EXCLUDES(mutex_);
  void ClearCalls() EXCLUDES(mutex_);

  int Open(const std::string& path, int flags, mode_t mode) override;
  void Close(int fd) override;
  int64_t Write(int fd, const void* data, size_t size, uint64_t offset) override;
  int Sync(int fd) override;
  int SyncData(int fd) override;
  int SyncFileSystem(int fd) override;
  int StartWriteback(int fd, uint64_t offset, uint64_t size) override;
  int Allocate(int fd, uint64_t size) override;
  int Truncate(int fd, uint64_t size) override;
  int Rename(const std::string& from, const std::string& to) override;
  int RenameNoReplace(const std::string& from, const std::string& to) override;
  int Exchange(const std::string& one, const std::string& other) override;
  int Remove(const std::string& path) override;
  int MakeFolder(const std::string& path) override;

 private:
  struct Verdict {
    int error = 0;
    bool halve = false;
  };
  Verdict Judge(const std::string& call, const std::string& first, const std::string& second = {});
  Verdict JudgeFd(const std::string& call, int fd);

  mutable Mutex mutex_;
  Plan plan_ GUARDED_BY(mutex_);
  uint64_t calls_ GUARDED_BY(mutex_) = 0;
  bool fired_ GUARDED_BY(mutex_) = false;
  std::vector<std::vector<std::string>> record_ GUARDED_BY(mutex_);
  std::map<int, std::string> paths_ GUARDED_BY(mutex_);
};

}  // namespace sluice::storage

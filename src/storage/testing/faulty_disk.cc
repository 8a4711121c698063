#include "storage/testing/faulty_disk.h"

#include <fcntl.h>

#include "storage/name.h"

namespace sluice::storage {

void FaultyDisk::SetPlan(Plan plan) {
  MutexLock lock(mutex_);
  plan_ = std::move(plan);
  calls_ = 0;
  fired_ = false;
}

uint64_t FaultyDisk::calls() const {
  MutexLock lock(mutex_);
  return calls_;
}

bool FaultyDisk::fired() const {
  MutexLock lock(mutex_);
  return fired_;
}

void FaultyDisk::ClearCalls() {
  MutexLock lock(mutex_);
  record_.clear();
}

std::vector<std::string> FaultyDisk::Calls(const std::string& prefix) const {
  std::vector<std::string> calls;
  MutexLock lock(mutex_);
  for (const std::vector<std::string>& words : record_) {
    std::string line = words[0];
    for (size_t i = 1; i < words.size(); ++i) {
      std::string path = words[i];
      if (path.starts_with(prefix)) path.erase(0, prefix.size());
      if (IsPendingName(BaseOf(path)))
        path.replace(path.size() - BaseOf(path).size(), std::string::npos, "*");
      line += " " + path;
    }
    calls.push_back(std::move(line));
  }
  return calls;
}

FaultyDisk::Verdict FaultyDisk::Judge(const std::string& call, const std::string& first,
                                      const std::string& second) {
  MutexLock lock(mutex_);
  if (fired_ && plan_.fault == Fault::kHalt) return {EIO, false};
  std::vector<std::string> words = {call, first};
  if (!second.empty()) words.push_back(second);
  record_.push_back(std::move(words));
  if (!plan_.only.empty() && plan_.only != call) return {};
  if (++calls_ != plan_.at_call) return {};
  const bool is_write = call == "write";
  switch (plan_.fault) {
    case Fault::kFail:
    case Fault::kHalt:
      fired_ = true;
      return {plan_.error, false};
    case Fault::kInterrupt:
      fired_ = true;
      return {call == "write" || call == "open" ? EINTR : 0, false};
    case Fault::kShortWrite:
      fired_ = true;
      return {0, is_write};
    case Fault::kTornWrite:
      fired_ = true;
      return {plan_.error, is_write};
  }
  return {};
}

FaultyDisk::Verdict FaultyDisk::JudgeFd(const std::string& call, int fd) {
  std::string path;
  {
    MutexLock lock(mutex_);
    path = paths_[fd];
  }
  return Judge(call, path);
}

int FaultyDisk::Open(const std::string& path, int flags, mode_t mode) {
  // Opening for reading alone changes nothing, and is how folders are synced.
  if ((flags & O_CREAT) != 0) {
    if (const Verdict verdict = Judge("open", path); verdict.error != 0) return -verdict.error;
  }
  const int fd = Disk::Open(path, flags, mode);
  if (fd >= 0) {
    MutexLock lock(mutex_);
    paths_[fd] = path;
  }
  return fd;
}

void FaultyDisk::Close(int fd) {
  {
    MutexLock lock(mutex_);
    paths_.erase(fd);
  }
  Disk::Close(fd);
}

int64_t FaultyDisk::Write(int fd, const void* data, size_t size, uint64_t offset) {
  const Verdict verdict = JudgeFd("write", fd);
  if (verdict.halve) size /= 2;
  if (verdict.error != 0) {
    if (verdict.halve) (void)Disk::Write(fd, data, size, offset);
    return -verdict.error;
  }
  return verdict.halve && size == 0 ? Disk::Write(fd, data, 1, offset) : Disk::Write(fd, data, size, offset);
}

int FaultyDisk::Sync(int fd) {
  const Verdict verdict = JudgeFd("sync", fd);
  return verdict.error != 0 ? -verdict.error : Disk::Sync(fd);
}

int FaultyDisk::SyncData(int fd) {
  const Verdict verdict = JudgeFd("datasync", fd);
  return verdict.error != 0 ? -verdict.error : Disk::SyncData(fd);
}

int FaultyDisk::SyncFileSystem(int fd) {
  const Verdict verdict = JudgeFd("syncfs", fd);
  return verdict.error != 0 ? -verdict.error : Disk::SyncFileSystem(fd);
}

int FaultyDisk::StartWriteback(int fd, uint64_t offset, uint64_t size) {
  const Verdict verdict = JudgeFd("writeback", fd);
  return verdict.error != 0 ? -verdict.error : Disk::StartWriteback(fd, offset, size);
}

int FaultyDisk::Allocate(int fd, uint64_t size) {
  const Verdict verdict = JudgeFd("allocate", fd);
  return verdict.error != 0 ? -verdict.error : Disk::Allocate(fd, size);
}

int FaultyDisk::Truncate(int fd, uint64_t size) {
  const Verdict verdict = JudgeFd("truncate", fd);
  return verdict.error != 0 ? -verdict.error : Disk::Truncate(fd, size);
}

int FaultyDisk::Rename(const std::string& from, const std::string& to) {
  const Verdict verdict = Judge("rename", from, to);
  return verdict.error != 0 ? -verdict.error : Disk::Rename(from, to);
}

int FaultyDisk::RenameNoReplace(const std::string& from, const std::string& to) {
  const Verdict verdict = Judge("rename", from, to);
  return verdict.error != 0 ? -verdict.error : Disk::RenameNoReplace(from, to);
}

int FaultyDisk::Exchange(const std::string& one, const std::string& other) {
  const Verdict verdict = Judge("exchange", one, other);
  return verdict.error != 0 ? -verdict.error : Disk::Exchange(one, other);
}

int FaultyDisk::Remove(const std::string& path) {
  const Verdict verdict = Judge("remove", path);
  return verdict.error != 0 ? -verdict.error : Disk::Remove(path);
}

int FaultyDisk::MakeFolder(const std::string& path) {
  const Verdict verdict = Judge("folder", path);
  return verdict.error != 0 ? -verdict.error : Disk::MakeFolder(path);
}

}  // namespace sluice::storage

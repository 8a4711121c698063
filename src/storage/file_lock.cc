#include "storage/file_lock.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>

#include "storage/disk.h"

namespace sluice::storage {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kFirstPause{1};
constexpr std::chrono::milliseconds kLongestPause{50};

// The process id that the holder wrote; empty when it has not done so yet.
std::string HolderOf(int fd) {
  char text[24] = {};
  const ssize_t n = ::pread(fd, text, sizeof(text) - 1, 0);
  std::string holder(text, n > 0 ? static_cast<size_t>(n) : 0);
  while (!holder.empty() && holder.back() == '\n') holder.pop_back();
  if (!std::all_of(holder.begin(), holder.end(), [](char c) { return c >= '0' && c <= '9'; })) holder.clear();
  return holder;
}

// For the messages of those who wait; the lock itself does not depend on it.
void WriteHolder(int fd) {
  const std::string text = fmt::format("{}\n", ::getpid());
  if (::ftruncate(fd, 0) < 0 || ::pwrite(fd, text.data(), text.size(), 0) < 0) return;
}

Error HeldError(const std::string& path, int fd, std::chrono::milliseconds wait) {
  const std::string holder = HolderOf(fd);
  return MakeError(ErrorCode::kUnavailable, "lock '{}' is held by {}, waited {} ms", path,
                   holder.empty() ? "another process" : "process " + holder, wait.count());
}

// False when a stop was requested.
bool Pause(std::chrono::milliseconds pause, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any condition;
  std::unique_lock<std::mutex> lock(mutex);
  condition.wait_for(lock, stop, pause, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace

FileLock::~FileLock() {
  if (fd_ < 0) return;
  // An empty file names nobody. Closing the description releases the lock.
  if (!is_shared_ && ::ftruncate(fd_, 0) < 0) errno = 0;
  ::close(fd_);
}

Result<std::unique_ptr<FileLock>> FileLock::Acquire(const std::string& path, std::chrono::milliseconds wait,
                                                    std::stop_token stop) {
  RETURN_IF_ERROR(MakeFolders(Disk::Real(), ParentPath(path)));
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return FromErrno(errno, fmt::format("cannot open lock '{}'", path));
  return Wait(fd, /*is_shared=*/false, path, wait, stop);
}

Result<std::unique_ptr<FileLock>> FileLock::AcquireShared(const std::string& path,
                                                          std::chrono::milliseconds wait,
                                                          std::stop_token stop) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0 && (errno == EROFS || errno == EACCES)) fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd >= 0) return Wait(fd, /*is_shared=*/true, path, wait, stop);
  if (errno != EROFS && errno != EACCES && errno != ENOENT) {
    return FromErrno(errno, fmt::format("cannot open lock '{}'", path));
  }
  return std::unique_ptr<FileLock>(new FileLock(-1, /*is_shared=*/true));
}

Result<std::unique_ptr<FileLock>> FileLock::Wait(int fd, bool is_shared, const std::string& path,
                                                 std::chrono::milliseconds wait,
                                                 const std::stop_token& stop) {
  const Clock::time_point begin = Clock::now();
  std::chrono::milliseconds pause = kFirstPause;
  Error error(ErrorCode::kCancelled, fmt::format("interrupted while waiting for lock '{}'", path));
  // A stop ends the waiting: what is free can be had, as by a node that commits what it took before it ends.
  while (true) {
    const int outcome = is_shared ? TryShareLock(fd) : TryLock(fd);
    if (outcome == 0) {
      if (!is_shared) WriteHolder(fd);
      return std::unique_ptr<FileLock>(new FileLock(fd, is_shared));
    }
    if (outcome != -EAGAIN) {
      error = FromErrno(-outcome, fmt::format("cannot lock '{}'", path));
      break;
    }
    const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
    if (waited >= wait) {
      error = HeldError(path, fd, wait);
      break;
    }
    if (!Pause(std::min(pause, wait - waited + kFirstPause), stop)) break;
    pause = std::min(pause * 2, kLongestPause);
  }
  ::close(fd);
  return error;
}

}  // namespace sluice::storage

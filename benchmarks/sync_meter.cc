#include "sync_meter.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

namespace {

std::atomic<int64_t> nanos{0};
std::atomic<int> count{0};

int Metered(long call, int fd) {
  const auto start = std::chrono::steady_clock::now();
  const int result = static_cast<int>(syscall(call, fd));
  nanos += (std::chrono::steady_clock::now() - start).count();
  ++count;
  return result;
}

}  // namespace

std::chrono::nanoseconds SyncTime() { return std::chrono::nanoseconds(nanos.load()); }
int SyncCount() { return count.load(); }

// They stand before the C library's own, for this program and the libraries it loads.
extern "C" int fsync(int fd) { return Metered(SYS_fsync, fd); }
extern "C" int fdatasync(int fd) { return Metered(SYS_fdatasync, fd); }

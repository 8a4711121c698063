#include "server/open_files.h"

#include <sys/resource.h>

#include <algorithm>

namespace sluice::server {
namespace {

// The key index (256 at most), datasets and slices that are read, the log, sockets of fetches.
constexpr uint64_t kBesideConnections = 1024;
// Connections over the limit are still told so.
constexpr uint64_t kRefused = 256;
constexpr uint64_t kFewConnections = 16;

}  // namespace

uint64_t OpenFilesFor(int connections) {
  return static_cast<uint64_t>(std::max(connections, 0)) + kRefused + kBesideConnections;
}

OpenFileLimit RaiseOpenFileLimit(int connections) {
  const uint64_t wanted = OpenFilesFor(connections);
  OpenFileLimit result;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted) {
    rlimit raised = limit;
    raised.rlim_cur = limit.rlim_max == RLIM_INFINITY ? wanted : std::min<rlim_t>(wanted, limit.rlim_max);
    if (raised.rlim_cur > limit.rlim_cur && setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  result.limit = limit.rlim_cur;
  result.is_enough = limit.rlim_cur >= wanted;
  const uint64_t beside = OpenFilesFor(0);
  const uint64_t left = result.limit > beside ? result.limit - beside : 0;
  result.connections = result.is_enough ? connections : static_cast<int>(std::max(left, kFewConnections));
  return result;
}

}  // namespace sluice::server

#pragma once

#include <cstdint>

namespace sluice::server {

// How many files and connections a process with that many connections has open at the same time.
uint64_t OpenFilesFor(int connections);

struct OpenFileLimit {
  uint64_t limit = 0;      // that holds now
  bool is_enough = false;  // for what was wanted
  int connections = 0;     // that it is enough for
};

// Raises the process's limit of open files (RLIMIT_NOFILE) to what `connections` need, as far as it may be.
OpenFileLimit RaiseOpenFileLimit(int connections);

}  // namespace sluice::server

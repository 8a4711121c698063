#pragma once

#include <sys/types.h>

#include <memory>

#include "cli/session.h"

namespace sluice::cli {

// Standard output through the program that PAGER names (default: less), while it lives. One at a time.
class Pager {
 public:
  // Nothing where standard output is no terminal, PAGER is empty or `cat`, or it cannot be started.
  static std::unique_ptr<Pager> Start(Session& session);
  // Ends the output and waits for the reader to leave.
  ~Pager();
  Pager(const Pager&) = delete;
  Pager& operator=(const Pager&) = delete;

 private:
  Pager(Session& session, pid_t process) : session_(session), process_(process) {}

  Session& session_;
  pid_t process_;
};

}  // namespace sluice::cli

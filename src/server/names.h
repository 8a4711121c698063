#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "workspace/workspace.h"

namespace sluice::server {

// The workspace's names, kept while this process holds the workspace: nobody else can change them then. While
// another process has its turn (Suspend to Resume) every question goes to the disk, and nothing is changed
// here. Thread-safe.
class Names {
 public:
  explicit Names(const workspace::Workspace& workspace) : workspace_(workspace) {}

  // As Workspace::Resolve.
  Result<workspace::Entry> Resolve(const std::string& ref);
  // As Workspace::List.
  Result<std::vector<workspace::Entry>> List();

  // Runs what makes names, not while another process has its turn. Errors: kUnavailable when that lasts
  // longer than `wait`; those of `change`.
  Status Change(std::chrono::milliseconds wait, const std::function<Status()>& change);
  // Names were changed otherwise.
  void Invalidate();
  // These two on the same thread. Waits for changes that are running.
  void Suspend();
  void Resume();

 private:
  using Table = std::map<std::string, workspace::Entry>;  // by lower-case name
  Result<std::shared_ptr<const Table>> Load();

  const workspace::Workspace& workspace_;
  std::shared_timed_mutex turn_;  // shared: changes of ours; alone: from Suspend to Resume
  std::mutex mutex_;
  std::shared_ptr<const Table> table_;  // under mutex_
  uint64_t generation_ = 0;             // under mutex_: grows with every change
  bool is_suspended_ = false;           // under mutex_
};

}  // namespace sluice::server

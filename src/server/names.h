#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "workspace/workspace.h"

namespace sluice::server {

// The workspace's names, kept while this process holds the workspace: nobody else can change them then. While
// another process has its turn (Suspend to Resume) every question goes to the disk. Thread-safe.
class Names {
 public:
  explicit Names(const workspace::Workspace& workspace) : workspace_(workspace) {}

  // As Workspace::Resolve.
  Result<workspace::Entry> Resolve(const std::string& ref);
  void Suspend();
  void Resume();

 private:
  using Table = std::map<std::string, workspace::Entry>;  // by lower-case name
  Result<std::shared_ptr<const Table>> Load();

  const workspace::Workspace& workspace_;
  std::mutex mutex_;
  std::shared_ptr<const Table> table_;  // under mutex_
  uint64_t generation_ = 0;             // under mutex_: grows with every turn of another process
  bool is_suspended_ = false;           // under mutex_
};

}  // namespace sluice::server

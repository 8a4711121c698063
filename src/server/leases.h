#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "gateway/gateway.h"

namespace sluice::server {

class Names;

// Turns of other processes of the same workspace (decisions.md 11): the node settles what it has taken, gives
// the kernel locks up, and takes them back when the other is done. The locks stay the only truth: a lease
// that is forgotten ends by itself, and the node then waits for the lock like anybody else. Thread-safe.
class Leases {
 public:
  virtual ~Leases() = default;  // ends the present lease
  static std::unique_ptr<Leases> Start(gateway::Gateway& gateway, Names& names);
  struct Request {
    std::optional<workspace::Entry>
        dataset;              // what is queued for it is settled first; none: of the whole workspace
    bool drop_queue = false;  // as gateway::Exclusive
    std::optional<std::string> adds_to;
    std::function<void(Result<std::string>)> granted;
    std::function<bool()> is_wanted;  // who asked may have given up meanwhile: nobody waits for such a one
  };
  // Calls `granted` with the lease's id once the locks are free; one lease at a time, in order of asking.
  virtual void Grant(Request request) = 0;
  // Calls `done` once the node has taken the workspace back and looked at what was changed: what comes next
  // is judged by that. At once for a lease that is over.
  virtual void End(const std::string& lease, std::function<void()> done) = 0;
};

}  // namespace sluice::server

#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "gateway/journal.h"

namespace sluice::gateway {

// Waits until queued batches are durable and says so, many with one sync of the log. One thread of its own.
// Thread-safe.
class Acknowledger {
 public:
  virtual ~Acknowledger() = default;  // ends what waits first
  static std::unique_ptr<Acknowledger> Start();
  // Calls `done` once the record at `place` is durable, or with the reason why it is not.
  virtual void Await(std::shared_ptr<Journal> journal, const Place& place,
                     std::function<void(Status)> done) = 0;
};

}  // namespace sluice::gateway

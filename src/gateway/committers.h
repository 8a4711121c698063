#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace sluice::gateway {

// Threads that run what is due. Whose tenant had the least of the threads' time comes first, so that one with
// many busy datasets does not hold up another's only one; within a tenant, what was due first. While several
// tenants come, none has all threads. Thread-safe.
class Committers {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Ticket = uint64_t;
  virtual ~Committers() = default;  // waits for what runs; the rest is dropped
  static std::unique_ptr<Committers> Start(int threads);
  virtual Ticket RunAt(Time due, const std::string& tenant, std::function<void()> work) = 0;
  // Another tenant waits for the same work too. Nothing when it runs already.
  virtual void Join(Ticket ticket, const std::string& tenant) = 0;
};

}  // namespace sluice::gateway

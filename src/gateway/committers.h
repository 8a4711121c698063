#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace sluice::gateway {

// Threads that run what is due, the earliest first. Thread-safe.
class Committers {
 public:
  using Time = std::chrono::steady_clock::time_point;
  virtual ~Committers() = default;  // waits for what runs; the rest is dropped
  static std::unique_ptr<Committers> Start(int threads);
  virtual void RunAt(Time due, std::function<void()> work) = 0;
};

}  // namespace sluice::gateway

#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "pipeline/config.h"

namespace sluice::pipeline {

// The pause before attempt number `attempt` (from 1): grows up to the longest one, with a random half so that
// many do not come back together.
Millis PauseBefore(const RetryOptions& options, int64_t attempt);
// False when stopped.
bool SleepFor(Millis pause, const std::stop_token& stop);

// Whether there is sense in taking records for a writer. Opens after failures in a row, is tried again after
// a pause, closes at the first success. Thread-safe.
class Circuit {
 public:
  explicit Circuit(const CircuitOptions& options) : options_(options) {}

  void Succeeded();
  void Failed(const Error& error);
  // The last error while it is open and not to be tried yet.
  Status Check() const;
  // The last error while the last attempt was a failure and the limit was reached, for /readyz.
  Status health() const;

 private:
  const CircuitOptions options_;
  mutable std::mutex mutex_;
  std::atomic<int64_t> failures_{0};
  std::string last_;
  std::chrono::steady_clock::time_point opened_;
};

}  // namespace sluice::pipeline

#pragma once

#include <atomic>
#include <mutex>
#include <stop_token>
#include <thread>

#include "pipeline/environment.h"
#include "pipeline/intake_queue.h"
#include "pipeline/metrics.h"
#include "pipeline/spool.h"

namespace sluice::pipeline {

// Moves what came in to the spool, many deliveries with one sync, and what is in the spool on to the
// processors, in order. Owned by the runner.
class SpoolStage {
 public:
  // Starts the threads.
  SpoolStage(Spool& spool, IntakeQueue& from, IntakeQueue& to, Environment& environment,
             StageCounters& counters, std::stop_source abort);
  ~SpoolStage() { Stop(); }

  // Spools what is waiting, hands on nothing more. May be repeated.
  void Stop();
  // Why records wait, or why it cannot go on.
  Status health() const;
  // The log cannot be written any more: only opening it anew finds out what is in it.
  bool is_broken() const { return is_broken_; }

 private:
  void FillSpool();
  void DrainSpool(const std::stop_token& stop);
  Status AppendPatiently(const std::vector<Item>& items);
  void SetHealth(Status status);

  Spool& spool_;
  IntakeQueue& from_;
  IntakeQueue& to_;
  Environment& environment_;
  StageCounters& counters_;
  const std::stop_source abort_;
  std::atomic<bool> is_broken_ = false;
  mutable std::mutex mutex_;
  Status health_;
  std::stop_source stopping_;
  std::jthread filler_;
  std::jthread drainer_;
};

}  // namespace sluice::pipeline

#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "base/bounded_queue.h"
#include "pipeline/intake_queue.h"
#include "pipeline/processor_chain.h"
#include "pipeline/work.h"
#include "pipeline/write_stage.h"

namespace sluice::pipeline {

// Makes batches of what waits, sends them through the processors on a thread of its own, and to the writer on
// as many threads as it takes. Owned by the runner.
class Dispatcher {
 public:
  struct Parts {
    IntakeQueue& queue;
    ProcessorChain& chain;
    WriteStage& writer;
    Environment& environment;
    Balance& balance;
    RetryOptions retry;
  };
  // Starts the threads. `keeps_places` = batches hold rows of one partition, with their positions.
  Dispatcher(Parts parts, const TakeLimits& limits, int writers, bool keeps_places, std::stop_source abort);
  ~Dispatcher() { Join(); }

  // Whether all is written that was in the queue when it was closed.
  bool WaitUntil(std::chrono::steady_clock::time_point deadline);
  // Waits for the threads, which end when the queue was closed or cancelled.
  void Join();

 private:
  using Load = std::vector<Work>;  // one slot of the writer

  void Dispatch();
  void WriteLoads();
  std::vector<Work> Cut(std::vector<Item> items) const;
  // What the processors make of it; may be several parts, or none when nothing is left to write.
  void Process(Work work, Load* load);

  const Parts parts_;
  const TakeLimits limits_;
  const bool keeps_places_;
  const std::stop_source abort_;
  BoundedQueue<Load> loads_;
  std::mutex mutex_;
  std::condition_variable ended_;
  int running_ = 0;
  std::jthread dispatcher_;
  std::vector<std::jthread> writers_;
};

}  // namespace sluice::pipeline

#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <stop_token>

#include "pipeline/connector.h"

namespace sluice::pipeline {

// For ingestors whose upstream takes nothing back: offers patiently, and offers failed records again until
// they have a final outcome. Confined to the ingestor's thread, but for what it says.
class Feeder {
 public:
  // `intake` outlives the feeder.
  explicit Feeder(Intake& intake);

  // Returns when the pipeline has taken it. `delivery.done` is the feeder's own. Errors: kCancelled when
  // stopped before, or when the pipeline has ended; what the pipeline refuses for good.
  Status Feed(Delivery delivery, std::stop_token stop);
  // Offers again what has failed; returns at once when there is nothing. Errors: as Feed.
  Status Pump(std::stop_token stop);
  // Pumps until all fed records have their outcome. False when the time is over or it was stopped.
  bool WaitUntil(std::chrono::steady_clock::time_point deadline, std::stop_token stop);
  bool is_idle() const;
  // The pipeline has ended and takes nothing any more.
  bool is_cut_off() const;

 private:
  struct State;
  Status OfferPatiently(const Delivery& delivery, const std::stop_token& stop,
                        std::chrono::steady_clock::time_point deadline);
  Status PauseAfterFailures(std::chrono::steady_clock::time_point deadline, const std::stop_token& stop);
  Status PumpUntil(std::chrono::steady_clock::time_point deadline, const std::stop_token& stop);

  Intake& intake_;
  const std::shared_ptr<State> state_;
};

}  // namespace sluice::pipeline

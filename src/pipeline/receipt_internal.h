#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>

#include "pipeline/batch.h"

namespace sluice::pipeline {

// Whether an ingestor may still be told outcomes: not after it was stopped. Thread-safe.
class Gate {
 public:
  // Waits for calls that are running.
  void Close() {
    std::unique_lock lock(mutex_);
    is_open_ = false;
  }
  void Call(const std::function<void()>& call) {
    std::shared_lock lock(mutex_);
    if (is_open_) call();
  }

 private:
  std::shared_mutex mutex_;
  bool is_open_ = true;
};

// How many outcomes there are of each kind.
struct Tally {
  explicit Tally(const Outcomes& outcomes) {
    for (const auto& outcome : outcomes) {
      accepted += outcome.kind == OutcomeKind::kAccepted ? 1U : 0U;
      duplicates += outcome.kind == OutcomeKind::kDuplicate ? 1U : 0U;
      rejected += outcome.kind == OutcomeKind::kRejected ? 1U : 0U;
      failed += outcome.kind == OutcomeKind::kFailed ? 1U : 0U;
    }
  }
  uint64_t accepted = 0, duplicates = 0, rejected = 0, failed = 0;
};

// What is known of the rows of one delivery; tells it when that is all of them. Rows are set once each, from
// any thread; different rows may be set at the same time.
class Receipt {
 public:
  using Done = std::function<void(const Outcomes&)>;

  Receipt(int64_t rows, Done done)
      : outcomes_(static_cast<size_t>(rows)), open_(rows), done_(std::move(done)) {}

  int64_t rows() const { return static_cast<int64_t>(outcomes_.size()); }
  void Set(int64_t row, Outcome outcome) {
    outcomes_[static_cast<size_t>(row)] = std::move(outcome);
    if (open_.fetch_sub(1, std::memory_order_acq_rel) == 1) done_(outcomes_);
  }
  // Records that must not be given back to the upstream as failed while the pipeline runs: their order counts
  // or nobody would deliver them again.
  bool is_persistent = false;

 private:
  Outcomes outcomes_;
  std::atomic<int64_t> open_;
  const Done done_;
};

}  // namespace sluice::pipeline

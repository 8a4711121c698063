#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

#include "pipeline/dead_letters.h"
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
  SpoolStage(Spool& spool, IntakeQueue& from, IntakeQueue& to, DeadLetters& dead_letters,
             Environment& environment, PipelineMetrics& metrics, std::stop_source abort);
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
  // Sets the outcome of every row. `is_patient`: waits for room as long as it takes.
  void AppendAll(const std::vector<Item>& items, bool is_patient);
  Status AppendRows(const std::vector<Item>& items, bool is_patient, int64_t* done);
  Outcome Bury(const arrow::RecordBatch& record, const Error& why);
  void SetHealth(Status status);
  // What became of records that were in the spool.
  void Count(const Outcomes& outcomes, uint64_t sequence);

  Spool& spool_;
  IntakeQueue& from_;
  IntakeQueue& to_;
  DeadLetters& dead_letters_;
  Environment& environment_;
  StageCounters& counters_;
  Balance& balance_;
  const uint64_t first_sequence_;  // of this run
  const std::stop_source abort_;
  std::atomic<bool> is_broken_ = false;
  std::optional<std::chrono::steady_clock::time_point> full_since_;  // of the filler
  mutable std::mutex mutex_;
  Status health_;
  std::stop_source stopping_;
  std::jthread filler_;
  std::jthread drainer_;
};

}  // namespace sluice::pipeline

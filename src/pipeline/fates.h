#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>

#include "pipeline/batch.h"

namespace sluice::pipeline {

// Whoever must know what becomes of the rows of a batch that entered the processors, such as a processor that
// remembers what was stored. Told once for each row at most, before its upstream hears of it; on any thread,
// one at a time; must not block. Destroyed when nothing more will be known: rows that it was not told of were
// given up and may come again.
class OutcomeWatcher {
 public:
  virtual ~OutcomeWatcher() = default;
  virtual void Settled(int64_t input_row, const Outcome& outcome) = 0;
};

// What became of rows on which others wait. Thread-safe.
class Fates {
 public:
  void Set(int32_t row, const Outcome& outcome);
  // Nothing more will be set: what is open has failed.
  void Close();
  // Nothing while it is open.
  std::optional<Outcome> Find(int32_t row) const;
  // Waits; nothing when it was stopped before.
  std::optional<Outcome> Wait(int32_t row, const std::stop_token& stop) const;

 private:
  std::optional<Outcome> FindLocked(int32_t row) const;

  mutable std::mutex mutex_;
  mutable std::condition_variable_any changed_;
  std::map<int32_t, Outcome> known_;
  bool is_closed_ = false;
};

}  // namespace sluice::pipeline

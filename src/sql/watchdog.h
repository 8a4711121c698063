#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <thread>

#include "base/mutex.h"
#include "base/result.h"
#include "sql/duckdb_api.h"

namespace sluice::sql {

// Interrupts a connection's query when its time is over or a stop is requested. One thread, started with the
// first time limit. Confined to the connection's thread, but for its own.
class Watchdog {
 public:
  explicit Watchdog(duckdb_connection connection) : connection_(connection) {}
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog() { Disarm(number_); }

  // Begins a query, ending the one before. `limit` zero means no time limit. Returns the query's number.
  uint64_t Arm(std::chrono::milliseconds limit, const std::stop_token& stop);
  // Ends query `number`, if it still is the one that runs: no interrupt comes after this returns.
  void Disarm(uint64_t number);
  // kTimeout or kCancelled once query `number` was, or should have been, interrupted; kCancelled when another
  // has taken its place.
  Status Check(uint64_t number) const;

 private:
  struct Interrupt {
    duckdb_connection connection;
    void operator()() const { duckdb_interrupt(connection); }
  };

  void Watch(const std::stop_token& end) EXCLUDES(mutex_);

  duckdb_connection connection_;
  uint64_t number_ = 0;
  std::chrono::milliseconds limit_{0};
  std::stop_token stop_;
  std::optional<std::stop_callback<Interrupt>> on_stop_;
  std::atomic<bool> timed_out_{false};
  Mutex mutex_;
  CondVar changed_;
  bool armed_ GUARDED_BY(mutex_) = false;
  bool ending_ GUARDED_BY(mutex_) = false;
  std::chrono::steady_clock::time_point deadline_ GUARDED_BY(mutex_);
  std::jthread thread_;
};

}  // namespace sluice::sql

#include "sql/watchdog.h"

namespace sluice::sql {

uint64_t Watchdog::Arm(std::chrono::milliseconds limit, const std::stop_token& stop) {
  Disarm(number_);
  ++number_;
  timed_out_ = false;
  limit_ = limit;
  stop_ = stop;
  if (stop.stop_possible()) on_stop_.emplace(stop, Interrupt{connection_});
  if (limit.count() <= 0) return number_;
  {
    MutexLock lock(mutex_);
    armed_ = true;
    deadline_ = std::chrono::steady_clock::now() + limit;
  }
  if (!thread_.joinable()) {
    thread_ = std::jthread([this](const std::stop_token& end) { Watch(end); });
  }
  changed_.NotifyAll();
  return number_;
}

void Watchdog::Disarm(uint64_t number) {
  if (number != number_) return;
  on_stop_.reset();
  MutexLock lock(mutex_);
  armed_ = false;
  changed_.NotifyAll();
}

Status Watchdog::Check(uint64_t number) const {
  if (number != number_) return Error(ErrorCode::kCancelled, "the result ended when another query began");
  if (timed_out_) return MakeError(ErrorCode::kTimeout, "the query ran longer than {} ms", limit_.count());
  if (stop_.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
  return {};
}

void Watchdog::Watch(const std::stop_token& end) {
  std::stop_callback wake(end, [this] {
    MutexLock lock(mutex_);
    ending_ = true;
    changed_.NotifyAll();
  });
  MutexLock lock(mutex_);
  while (!ending_) {
    if (!armed_) {
      changed_.Wait(mutex_, [this]() NO_THREAD_SAFETY_ANALYSIS { return armed_ || ending_; });
      continue;
    }
    auto now = std::chrono::steady_clock::now();
    if (now >= deadline_) {
      timed_out_ = true;
      duckdb_interrupt(connection_);
      // The engine takes the request back when a query starts: repeat it until the query is over.
      deadline_ = now + std::chrono::milliseconds(20);
      continue;
    }
    changed_.WaitFor(mutex_, deadline_ - now,
                     [this]() NO_THREAD_SAFETY_ANALYSIS { return ending_ || !armed_; });
  }
}

}  // namespace sluice::sql

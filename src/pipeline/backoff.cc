#include "pipeline/backoff.h"

#include <algorithm>
#include <condition_variable>
#include <random>

namespace sluice::pipeline {

Millis PauseBefore(const RetryOptions& options, int64_t attempt) {
  thread_local std::minstd_rand random{std::random_device{}()};
  double pause = static_cast<double>(options.initial.count());
  if (options.is_exponential) {
    for (int64_t i = 1; i < attempt && pause < static_cast<double>(options.max.count()); ++i) pause *= 2;
  }
  pause = std::min(pause, static_cast<double>(options.max.count()));
  return Millis(static_cast<int64_t>(pause * std::uniform_real_distribution<double>(0.5, 1.0)(random)));
}

bool SleepFor(Millis pause, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any condition;
  std::unique_lock lock(mutex);
  condition.wait_for(lock, stop, pause, [&] { return stop.stop_requested(); });
  return !stop.stop_requested();
}

void Circuit::Succeeded() {
  if (failures_.load(std::memory_order_relaxed) != 0) failures_ = 0;
}

void Circuit::Failed(const Error& error) {
  std::lock_guard lock(mutex_);
  ++failures_;
  last_ = error.ToString();
  opened_ = std::chrono::steady_clock::now();
}

Status Circuit::Check() const {
  if (failures_.load(std::memory_order_relaxed) < options_.failures) return {};
  std::lock_guard lock(mutex_);
  if (std::chrono::steady_clock::now() - opened_ >= options_.pause) return {};
  return MakeError(ErrorCode::kUnavailable, "the writer fails: {}", last_);
}

Status Circuit::health() const {
  if (failures_.load(std::memory_order_relaxed) < options_.failures) return {};
  std::lock_guard lock(mutex_);
  return MakeError(ErrorCode::kUnavailable, "the writer fails: {}", last_);
}

}  // namespace sluice::pipeline

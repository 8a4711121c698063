#include "pipeline/fates.h"

namespace sluice::pipeline {

void Fates::Set(int32_t row, const Outcome& outcome) {
  std::lock_guard lock(mutex_);
  known_.emplace(row, outcome);
  changed_.notify_all();
}

void Fates::Close() {
  std::lock_guard lock(mutex_);
  is_closed_ = true;
  changed_.notify_all();
}

std::optional<Outcome> Fates::FindLocked(int32_t row) const {
  if (const auto found = known_.find(row); found != known_.end()) return found->second;
  if (is_closed_) return Outcome{OutcomeKind::kFailed, "it was given up"};
  return std::nullopt;
}

std::optional<Outcome> Fates::Find(int32_t row) const {
  std::lock_guard lock(mutex_);
  return FindLocked(row);
}

std::optional<Outcome> Fates::Wait(int32_t row, const std::stop_token& stop) const {
  std::unique_lock lock(mutex_);
  std::optional<Outcome> found;
  changed_.wait(lock, stop, [&] { return (found = FindLocked(row)).has_value(); });
  return found;
}

}  // namespace sluice::pipeline

#include "pipeline/feeder.h"

#include <arrow/record_batch.h>

#include <algorithm>

#include "pipeline/backoff.h"
#include "pipeline/rows.h"

namespace sluice::pipeline {
namespace {

constexpr std::chrono::milliseconds kPatience(200);
constexpr auto kNever = std::chrono::steady_clock::time_point::max();

// The refusals of those rows, as they are numbered then.
std::vector<Delivery::Refusal> RefusedAmong(const std::vector<Delivery::Refusal>& refused,
                                            const std::vector<int32_t>& rows) {
  std::vector<Delivery::Refusal> left;
  for (const auto& one : refused) {
    const auto found = std::lower_bound(rows.begin(), rows.end(), one.row);
    if (found == rows.end() || *found != one.row) continue;
    left.push_back(one);
    left.back().row = found - rows.begin();
  }
  return left;
}

}  // namespace

// What has been offered, and what came back. Shared with outcomes that are on their way.
struct Feeder::State {
  std::mutex mutex;
  std::condition_variable_any changed;
  int64_t open = 0;      // deliveries
  int64_t failures = 0;  // of them in a row, nothing of which came through
  std::deque<Delivery> failed;
  bool is_cut_off = false;
};

Feeder::Feeder(Intake& intake) : intake_(intake), state_(std::make_shared<State>()) {}

Status Feeder::OfferPatiently(const Delivery& delivery, const std::stop_token& stop,
                              std::chrono::steady_clock::time_point deadline) {
  const auto& state = state_;
  while (true) {
    Delivery offered = delivery;
    offered.done = [state = state_, batch = delivery.batch,
                    refused = delivery.refused](const Outcomes& outcomes) {
      std::vector<int32_t> rows;
      for (size_t row = 0; row < outcomes.size(); ++row) {
        if (!outcomes[row].is_final()) rows.push_back(static_cast<int32_t>(row));
      }
      std::lock_guard lock(state->mutex);
      --state->open;
      state->failures = rows.size() == outcomes.size() ? state->failures + 1 : 0;
      if (!rows.empty()) {
        auto again = TakeRows(batch, rows);
        if (again.ok()) {
          again->origins.clear();
          Delivery failed;
          failed.batch = *std::move(again);
          failed.refused = RefusedAmong(refused, rows);
          failed.is_repeat = true;
          state->failed.push_back(std::move(failed));
        }
      }
      state->changed.notify_all();
    };
    {
      std::lock_guard lock(state->mutex);
      ++state->open;
    }
    Status status = intake_.Offer(std::move(offered), kPatience);
    if (status.ok()) return {};
    const ErrorCode code = status.error().code();
    {
      std::lock_guard lock(state->mutex);
      --state->open;
      state->is_cut_off = code == ErrorCode::kCancelled;
    }
    if (code != ErrorCode::kResourceExhausted && code != ErrorCode::kUnavailable) return status;
    const bool is_over = stop.stop_requested() || std::chrono::steady_clock::now() >= deadline;
    if (is_over || (code == ErrorCode::kUnavailable && !SleepFor(kPatience, stop)))
      return MakeError(ErrorCode::kCancelled, "stopped");
  }
}

Status Feeder::Feed(Delivery delivery, std::stop_token stop) {
  RETURN_IF_ERROR(Pump(stop));
  return OfferPatiently(delivery, stop, kNever);
}

Status Feeder::Pump(std::stop_token stop) { return PumpUntil(kNever, stop); }

// A pipeline that takes everything and fails at all of it would be kept busy for nothing.
Status Feeder::PauseAfterFailures(std::chrono::steady_clock::time_point deadline,
                                  const std::stop_token& stop) {
  int64_t failures = 0;
  {
    std::lock_guard lock(state_->mutex);
    if (!state_->failed.empty()) failures = state_->failures;
  }
  if (failures == 0) return {};
  const auto left = std::chrono::duration_cast<Millis>(deadline - std::chrono::steady_clock::now());
  const Millis pause = PauseBefore(RetryOptions(), failures);
  if (!SleepFor(std::clamp(left, Millis(0), pause), stop) || left < pause)
    return MakeError(ErrorCode::kCancelled, "stopped");
  return {};
}

Status Feeder::PumpUntil(std::chrono::steady_clock::time_point deadline, const std::stop_token& stop) {
  while (true) {
    Delivery again;
    RETURN_IF_ERROR(PauseAfterFailures(deadline, stop));
    {
      std::lock_guard lock(state_->mutex);
      if (state_->failed.empty()) return {};
      again = std::move(state_->failed.front());
      state_->failed.pop_front();
      ++state_->open;  // still ours
    }
    Status status = OfferPatiently(again, stop, deadline);
    std::lock_guard lock(state_->mutex);
    --state_->open;
    if (!status.ok()) {
      state_->failed.push_front(std::move(again));
      return status;
    }
  }
}

bool Feeder::WaitUntil(std::chrono::steady_clock::time_point deadline, std::stop_token stop) {
  while (true) {
    if (!stop.stop_requested()) static_cast<void>(PumpUntil(deadline, stop));
    std::unique_lock lock(state_->mutex);
    if (state_->is_cut_off) return false;
    state_->changed.wait_until(lock, stop, deadline,
                               [&] { return state_->open == 0 || !state_->failed.empty(); });
    if (state_->open == 0 && state_->failed.empty()) return true;
    if (stop.stop_requested() || std::chrono::steady_clock::now() >= deadline) return false;
  }
}

bool Feeder::is_cut_off() const {
  std::lock_guard lock(state_->mutex);
  return state_->is_cut_off;
}

bool Feeder::is_idle() const {
  std::lock_guard lock(state_->mutex);
  return state_->open == 0 && state_->failed.empty();
}

}  // namespace sluice::pipeline

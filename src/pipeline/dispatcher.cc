#include "pipeline/dispatcher.h"

#include <arrow/record_batch.h>

#include "pipeline/backoff.h"
#include "pipeline/receipt_internal.h"

namespace sluice::pipeline {
Dispatcher::Dispatcher(Parts parts, const TakeLimits& limits, int writers, bool keeps_places,
                       std::stop_source abort)
    : parts_(parts),
      limits_(limits),
      keeps_places_(keeps_places),
      abort_(std::move(abort)),
      loads_(static_cast<size_t>(writers) + 1),
      running_(writers) {
  dispatcher_ = std::jthread([this] { Dispatch(); });
  for (int i = 0; i < writers; ++i) writers_.emplace_back([this] { WriteLoads(); });
}

void Dispatcher::Dispatch() {
  while (true) {
    auto items = parts_.queue.Take(limits_);
    if (items.empty()) break;
    Load load;
    for (auto& work : Cut(std::move(items))) Process(std::move(work), &load);
    if (load.empty()) {
      parts_.queue.ReturnSlot();
    } else {
      loads_.Push(std::move(load));
    }
  }
  loads_.Close();
}

std::vector<Work> Dispatcher::Cut(std::vector<Item> items) const {
  std::vector<Work> works;
  std::vector<Item> group;
  const auto finish = [&] {
    if (group.empty()) return;
    std::vector<std::shared_ptr<Receipt>> receipts;
    std::vector<std::pair<int64_t, int64_t>> rows;
    for (const auto& item : group) {
      receipts.push_back(item.receipt);
      rows.emplace_back(item.first_row, item.batch.rows());
    }
    auto work = Work::Make(std::move(group), keeps_places_);
    group.clear();
    if (work.ok()) {
      works.push_back(*std::move(work));
      return;
    }
    const Outcome failed{OutcomeKind::kFailed, work.error().ToString()};
    for (size_t i = 0; i < receipts.size(); ++i) {
      for (int64_t row = 0; row < rows[i].second; ++row) receipts[i]->Set(rows[i].first + row, failed);
    }
  };
  for (auto& item : items) {
    const bool goes_along =
        group.empty() || !keeps_places_ || (item.batch.partition == group.back().batch.partition);
    if (!goes_along) finish();
    group.push_back(std::move(item));
  }
  finish();
  return works;
}

void Dispatcher::Process(Work work, Load* load) {
  if (parts_.chain.is_empty() || work.input().rows() == 0) {
    work.SetOutput(work.input());
    load->push_back(std::move(work));
    return;
  }
  const auto stop = abort_.get_token();
  for (int64_t attempt = 1;; ++attempt) {
    std::vector<ProcessorChain::Refused> refused;
    auto output = parts_.chain.Run(work.input(), &refused, stop);
    if (output.ok()) {
      work.TakeAside(&*output);  // before anything is refused: who waits for a row must hear of it
      std::vector<WriteStage::Refused> rows;
      for (auto& one : refused) rows.push_back({one.input_row, std::move(one.reason)});
      parts_.writer.Refuse(&work, rows, stop);
      parts_.balance.dropped += static_cast<uint64_t>(work.SetOutput(*std::move(output)));
      load->push_back(std::move(work));
      return;
    }
    const Error& error = output.error();
    const int64_t rows = work.input().rows();
    if (stop.stop_requested()) return work.ResolveRest({OutcomeKind::kFailed, error.ToString()});
    // What a batch has no time for, its halves may have.
    const bool may_be_halved = MayBeOneRow(error.code()) || error.code() == ErrorCode::kTimeout;
    if (!IsRetryable(error.code()) || (may_be_halved && rows > 1)) {
      if (may_be_halved && rows > 1) {
        auto front = work.Part(0, rows / 2);
        auto back = work.Part(rows / 2, rows);
        if (front.ok() && back.ok()) {
          Process(*std::move(front), load);
          return Process(*std::move(back), load);
        }
      }
      std::vector<WriteStage::Refused> all;
      for (int64_t row = 0; row < rows; ++row) all.push_back({row, error.ToString()});
      return parts_.writer.Refuse(&work, all, stop);
    }
    if (attempt == 1) parts_.environment.Note("trying again: " + error.ToString());
    const bool is_over = attempt >= parts_.retry.attempts && !work.is_persistent();
    if (is_over || !SleepFor(PauseBefore(parts_.retry, attempt), stop))
      return work.ResolveRest({OutcomeKind::kFailed, error.ToString()});
  }
}

void Dispatcher::WriteLoads() {
  while (auto load = loads_.Pop()) {
    for (auto& work : *load) parts_.writer.Write(&work, abort_.get_token());
    parts_.queue.ReturnSlot();
  }
  std::lock_guard lock(mutex_);
  --running_;
  ended_.notify_all();
}

bool Dispatcher::WaitUntil(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  return ended_.wait_until(lock, deadline, [this] { return running_ == 0; });
}

void Dispatcher::Join() {
  if (dispatcher_.joinable()) dispatcher_.join();
  for (auto& writer : writers_) {
    if (writer.joinable()) writer.join();
  }
}

}  // namespace sluice::pipeline

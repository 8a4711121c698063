#include "pipeline/spool_stage.h"

#include <arrow/record_batch.h>

#include "pipeline/backoff.h"
#include "pipeline/receipt_internal.h"
#include "pipeline/rows.h"

namespace sluice::pipeline {
namespace {

constexpr Millis kPatience(200);
constexpr TakeLimits kSpoolBatch{50'000, 4 << 20, Millis(0)};

}  // namespace

SpoolStage::SpoolStage(Spool& spool, IntakeQueue& from, IntakeQueue& to, Environment& environment,
                       StageCounters& counters, std::stop_source abort)
    : spool_(spool),
      from_(from),
      to_(to),
      environment_(environment),
      counters_(counters),
      abort_(std::move(abort)) {
  filler_ = std::jthread([this] { FillSpool(); });
  drainer_ = std::jthread([this](const std::stop_token& stop) { DrainSpool(stop); });
}

void SpoolStage::Stop() {
  stopping_.request_stop();
  from_.Close();
  if (filler_.joinable()) filler_.join();
  drainer_.request_stop();
  if (drainer_.joinable()) drainer_.join();
}

Status SpoolStage::health() const {
  std::lock_guard lock(mutex_);
  return health_;
}

void SpoolStage::SetHealth(Status status) {
  std::lock_guard lock(mutex_);
  health_ = std::move(status);
}

Status SpoolStage::AppendPatiently(const std::vector<Item>& items) {
  std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
  for (const auto& item : items) parts.push_back(item.batch.records);
  ASSIGN_OR_RETURN(const auto records, JoinRecords(parts));
  for (bool was_full = false;; was_full = true) {
    auto status = spool_.Append(*records);
    if (status.ok()) {
      counters_.records += static_cast<uint64_t>(records->num_rows());
      counters_.batches += 1;
      SetHealth({});
      return {};
    }
    if (status.error().code() != ErrorCode::kResourceExhausted) {
      is_broken_ = true;
      return std::move(status).error().With("the spool cannot be written");
    }
    if (!was_full)
      environment_.Note("the spool is full, nothing more is taken: " + status.error().ToString());
    SetHealth(status.error());
    if (!SleepFor(Millis(100), stopping_.get_token())) return status;
  }
}

void SpoolStage::FillSpool() {
  while (true) {
    auto items = from_.Take(kSpoolBatch);
    if (items.empty()) return;
    const Status status =
        is_broken_ ? MakeError(ErrorCode::kUnavailable, "the spool is broken") : AppendPatiently(items);
    if (!status.ok()) SetHealth(status.error());
    const Outcome outcome =
        status.ok() ? Outcome() : Outcome{OutcomeKind::kFailed, status.error().ToString()};
    for (auto& item : items) {
      for (int64_t row = 0; row < item.batch.rows(); ++row) item.receipt->Set(item.first_row + row, outcome);
    }
    from_.ReturnSlot();
  }
}

void SpoolStage::DrainSpool(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    auto entry = spool_.Next(stop);
    if (!entry.ok()) {
      is_broken_ = true;
      SetHealth(entry.error());
      environment_.Note(entry.error().ToString());
      return;
    }
    if (!*entry) return;
    const int64_t rows = (*entry)->records->num_rows();
    const uint64_t bytes = SizeOf(*(*entry)->records);
    const uint64_t sequence = (*entry)->sequence;
    auto receipt = std::make_shared<Receipt>(rows, [this, rows, bytes, sequence](const Outcomes& outcomes) {
      bool is_done = true;
      for (const auto& outcome : outcomes) is_done = is_done && outcome.is_final();
      if (is_done) spool_.Done(sequence);
      to_.Release(rows, bytes);
    });
    receipt->is_persistent = true;
    while (!stop.stop_requested()) {
      Item item;
      item.receipt = receipt;
      item.batch.records = (*entry)->records;
      item.bytes = bytes;
      std::vector<Item> items;
      items.push_back(std::move(item));
      const Status status = to_.Push("spool", std::move(items), rows, bytes, kPatience);
      if (status.ok()) break;
      if (status.error().code() == ErrorCode::kUnavailable) return;
    }
  }
}

}  // namespace sluice::pipeline

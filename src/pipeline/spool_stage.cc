#include "pipeline/spool_stage.h"

#include <arrow/record_batch.h>

#include <algorithm>

#include "pipeline/backoff.h"
#include "pipeline/reasons.h"
#include "pipeline/receipt_internal.h"
#include "pipeline/rows.h"

namespace sluice::pipeline {
namespace {

constexpr Millis kPatience(200);
constexpr Millis kFullPatience(2000);  // of those who wait for an answer
constexpr TakeLimits kSpoolBatch{50'000, 4 << 20, Millis(0)};

}  // namespace

SpoolStage::SpoolStage(Spool& spool, IntakeQueue& from, IntakeQueue& to, DeadLetters& dead_letters,
                       Environment& environment, PipelineMetrics& metrics, std::stop_source abort)
    : spool_(spool),
      from_(from),
      to_(to),
      dead_letters_(dead_letters),
      environment_(environment),
      counters_(metrics.Stage("spool", "log")),
      balance_(metrics.balance),
      first_sequence_(spool.next_sequence()),
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

// What can never be in the spool is final when its dead letter is.
Outcome SpoolStage::Bury(const arrow::RecordBatch& record, const Error& why) {
  const auto letter = std::shared_ptr<arrow::RecordBatch>(record.Slice(0));
  const Status status =
      dead_letters_.Write({{.record = letter, .reason = why.message()}}, abort_.get_token());
  if (!status.ok()) return {OutcomeKind::kFailed, status.error().ToString()};
  return {OutcomeKind::kRejected, why.message()};
}

// Up to the first error that no waiting helps against; `done` rows have their outcome then.
Status SpoolStage::AppendRows(const std::vector<Item>& items, bool is_patient, int64_t* done) {
  std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
  for (const auto& item : items) parts.push_back(item.batch.records);
  ASSIGN_OR_RETURN(const auto records, JoinRecords(parts));
  auto item = items.begin();
  int64_t begin = 0;  // of the item
  const auto tell = [&](int64_t rows, const Outcome& outcome) {
    for (const int64_t end = *done + rows; *done < end; ++*done) {
      for (; *done >= begin + item->batch.rows(); ++item) begin += item->batch.rows();
      item->receipt->Set(item->first_row + *done - begin, outcome);
    }
  };
  while (*done < records->num_rows()) {
    const auto rest = records->Slice(*done);
    int64_t appended = 0;
    const auto status = spool_.Append(*rest, &appended);
    if (appended > 0) {
      counters_.records += static_cast<uint64_t>(appended);
      counters_.batches += 1;
      counters_.bytes += SizeOf(*rest->Slice(0, appended));
      full_since_.reset();
      SetHealth({});
      tell(appended, Outcome());
    }
    if (status.ok()) break;
    if (status.error().code() == ErrorCode::kTooLarge) {
      tell(1, Bury(*rest->Slice(appended, 1), status.error()));
      continue;
    }
    if (status.error().code() != ErrorCode::kResourceExhausted) {
      is_broken_ = true;
      return Error(status.error()).With("the spool cannot be written");
    }
    const auto now = std::chrono::steady_clock::now();
    if (!full_since_) {
      full_since_ = now;
      environment_.Note("the spool is full, nothing more is taken: " + status.error().ToString());
    }
    SetHealth(status.error());
    if (!is_patient && now - *full_since_ >= kFullPatience) return status;
    if (!SleepFor(Millis(100), stopping_.get_token())) return status;
  }
  return {};
}

void SpoolStage::AppendAll(const std::vector<Item>& items, bool is_patient) {
  if (items.empty()) return;
  int64_t done = 0;
  const Status status = is_broken_ ? MakeError(ErrorCode::kUnavailable, "the spool is broken")
                                   : AppendRows(items, is_patient, &done);
  if (status.ok()) return;
  SetHealth(status.error());
  // Senders are told, and where the spool lies is not theirs to know.
  const bool is_full = status.error().code() == ErrorCode::kResourceExhausted;
  const Outcome failed{OutcomeKind::kFailed, is_full ? std::string(kSpoolIsFull) : status.error().ToString()};
  for (const auto& item : items) {
    for (int64_t row = std::min(done, item.batch.rows()); row < item.batch.rows(); ++row)
      item.receipt->Set(item.first_row + row, failed);
    done -= std::min(done, item.batch.rows());
  }
}

void SpoolStage::FillSpool() {
  while (true) {
    auto items = from_.Take(kSpoolBatch);
    if (items.empty()) return;
    // Who waits for an answer is told that there is no room; what has a position to go on at waits for it.
    const auto persistent = std::stable_partition(
        items.begin(), items.end(), [](const Item& item) { return !item.receipt->is_persistent; });
    AppendAll({items.begin(), persistent}, /*is_patient=*/false);
    AppendAll({persistent, items.end()}, /*is_patient=*/true);
    from_.ReturnSlot();
  }
}

void SpoolStage::Count(const Outcomes& outcomes, uint64_t sequence) {
  Tally tally(outcomes);
  balance_.accepted += tally.accepted;
  balance_.duplicates += tally.duplicates;
  balance_.rejected += tally.rejected;
  const uint64_t done = outcomes.size() - tally.failed;  // the others stay
  balance_.unspooled += done;
  if (sequence < first_sequence_) balance_.found += done;
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
      Count(outcomes, sequence);
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

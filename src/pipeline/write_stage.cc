#include "pipeline/write_stage.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "pipeline/rows.h"

namespace sluice::pipeline {
bool MayBeOneRow(ErrorCode code) {
  return code == ErrorCode::kInvalidRecords || code == ErrorCode::kInvalidArgument ||
         code == ErrorCode::kTooLarge;
}

void WriteStage::Write(Work* work, const std::stop_token& abort) {
  std::vector<int32_t> rows(static_cast<size_t>(work->output().rows()));
  std::iota(rows.begin(), rows.end(), 0);
  std::string why = "the pipeline stops";
  // Known ones first: a position must not pass a record whose dead letter is not there yet.
  SettleFollowers(work, /*waits=*/false, abort);
  if (rows.empty()) {
    WritePlaces(*work, abort);
    work->ResolveRest(Outcome());
    SettleFollowers(work, /*waits=*/true, abort);
    return;
  }
  for (int64_t attempt = 1; !abort.stop_requested() && !IsOver(&why); ++attempt) {
    const size_t before = rows.size();
    rows = Attempt(work, rows, &why, abort);
    if (!rows.empty()) SettleFollowers(work, /*waits=*/false, abort);
    if (!rows.empty() && rows.size() < before) {
      attempt = 0;  // it gets on: no pause, and no end
      continue;
    }
    if (rows.empty() || (attempt >= retry_.attempts && !work->is_persistent()) || IsOver(&why)) break;
    parts_.counters.retries += rows.size();
    if (attempt == 1) NoteSometimes(rows.size(), why);
    if (!SleepFor(PauseBefore(retry_, attempt), abort)) break;
  }
  parts_.counters.failed += rows.size();
  for (const int32_t row : rows) work->SettleOutput(row, {OutcomeKind::kFailed, why});
  work->ResolveRest({OutcomeKind::kFailed, why});  // nothing is left open, whatever a processor answered
  SettleFollowers(work, /*waits=*/true, abort);
  // The positions stand before what was rejected: by now its dead letter is durable.
  if (work->has_rejected()) WritePlaces(*work, abort);
}

void WriteStage::WritePlaces(const Work& work, const std::stop_token& abort) {
  const Batch& output = work.output();
  if (!keeps_places_ || output.places.empty() || work.has_failed()) return;
  Batch batch;
  batch.records = output.records->Slice(0, 0);
  batch.partition = output.partition;
  batch.places = output.places;
  std::string why;
  for (int64_t attempt = 1; !abort.stop_requested() && !IsOver(&why); ++attempt) {
    const auto outcomes = parts_.writer.Write(batch, abort);
    if (outcomes.ok() || MayBeOneRow(outcomes.error().code())) return;
    if (!SleepFor(PauseBefore(retry_, attempt), abort)) return;
  }
}

void WriteStage::SettleFollowers(Work* work, bool waits, const std::stop_token& abort) {
  auto settled = work->TakeFollowed(waits, abort);
  std::vector<Refused> rejected;
  for (auto& one : settled) {
    if (one.outcome.kind == OutcomeKind::kRejected && !one.has_letter) {
      rejected.push_back({one.input_row, std::move(one.outcome.reason), std::move(one.outcome.parts)});
    } else {
      parts_.counters.duplicates += one.outcome.kind == OutcomeKind::kDuplicate ? 1 : 0;
      work->Resolve(one.input_row, std::move(one.outcome));
    }
  }
  parts_.counters.rejected += rejected.size();
  Refuse(work, rejected, abort);
}

bool WriteStage::IsOver(std::string* why) const {
  const Status status = parts_.writer.fatal();
  if (!status.ok()) *why = parts_.environment.Clean(status.error().ToString());
  if (!keeps_places_ || !lacks_letters_) return !status.ok();
  *why = "it stands behind a record whose dead letter could not be written";
  return true;
}

void WriteStage::NoteSometimes(size_t rows, const std::string& why) {
  constexpr int64_t kMillis = 10'000;
  const int64_t now = std::chrono::duration_cast<std::chrono::milliseconds>(
                          std::chrono::steady_clock::now().time_since_epoch())
                          .count();
  int64_t next = next_note_millis_;
  if (now < next || !next_note_millis_.compare_exchange_strong(next, now + kMillis)) return;
  parts_.environment.Note(fmt::format("{} record(s) failed, trying again: {}", rows, why));
}

std::vector<int32_t> WriteStage::Attempt(Work* work, const std::vector<int32_t>& rows, std::string* why,
                                         const std::stop_token& abort) {
  const bool is_all = static_cast<int64_t>(rows.size()) == work->output().rows();
  auto batch = is_all ? Result<Batch>(work->output()) : TakeRows(work->output(), rows);
  if (!batch.ok()) return AfterError(work, rows, batch.error(), why, abort);
  const auto start = std::chrono::steady_clock::now();
  auto outcomes = parts_.writer.Write(*batch, abort);
  parts_.counters.busy_micros += static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start)
          .count());
  if (outcomes.ok() && outcomes->size() != rows.size())
    outcomes = Internal("the writer gave {} outcomes for {} records", outcomes->size(), rows.size());
  if (!outcomes.ok()) return AfterError(work, rows, outcomes.error(), why, abort);
  ++parts_.counters.batches;
  parts_.counters.bytes += SizeOf(*batch->records);
  std::vector<int32_t> again;
  std::vector<Reject> rejects;
  size_t duplicates = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    Outcome& outcome = (*outcomes)[i];
    // Senders and dead letters are told of it.
    if (!outcome.reason.empty()) outcome.reason = parts_.environment.Clean(std::move(outcome.reason));
    if (outcome.kind == OutcomeKind::kFailed) {
      *why = std::move(outcome.reason);
      again.push_back(rows[i]);
    } else if (outcome.kind == OutcomeKind::kRejected) {
      rejects.push_back({rows[i], std::move(outcome.reason), std::move(outcome.parts)});
    } else {
      duplicates += outcome.kind == OutcomeKind::kDuplicate ? 1 : 0;
    }
  }
  if (again.size() == rows.size()) {
    parts_.circuit.Failed(Error(ErrorCode::kUnavailable, *why));
  } else {
    parts_.circuit.Succeeded();
  }
  parts_.counters.records += rows.size() - again.size() - rejects.size();
  parts_.counters.duplicates += duplicates;
  for (size_t i = 0; i < rows.size(); ++i) {
    const Outcome& outcome = (*outcomes)[i];
    if (outcome.kind == OutcomeKind::kAccepted || outcome.kind == OutcomeKind::kDuplicate)
      work->SettleOutput(rows[i], outcome);
  }
  Bury(work, rejects, abort);
  return again;
}

std::vector<int32_t> WriteStage::AfterError(Work* work, const std::vector<int32_t>& rows, const Error& error,
                                            std::string* why, const std::stop_token& abort) {
  const std::string message = parts_.environment.Clean(error.ToString());
  // A table that is gone, rights, a fault of the other side: somebody may mend it, and records must not be
  // buried by the thousands until then.
  if (!MayBeOneRow(error.code())) {
    *why = message;
    if (!abort.stop_requested()) parts_.circuit.Failed(Error(error.code(), message));
    return rows;
  }
  if (rows.size() > 1 && !abort.stop_requested()) {
    const auto middle = rows.begin() + static_cast<ptrdiff_t>(rows.size() / 2);
    auto again = Attempt(work, {rows.begin(), middle}, why, abort);
    const auto more = Attempt(work, {middle, rows.end()}, why, abort);
    again.insert(again.end(), more.begin(), more.end());
    return again;
  }
  std::vector<Reject> rejects;
  for (const int32_t row : rows) rejects.push_back({row, message});
  Bury(work, rejects, abort);
  return {};
}

Status WriteStage::PutLetters(const std::vector<DeadLetter>& letters, const std::stop_token& abort) {
  Status status = parts_.dead_letters.Write(letters, abort);
  if (!status.ok()) lacks_letters_ = true;
  return status;
}

void WriteStage::Bury(Work* work, const std::vector<Reject>& rejects, const std::stop_token& abort) {
  if (rejects.empty()) return;
  std::vector<DeadLetter> letters;
  std::map<int64_t, size_t> letter_of;  // by row of the input
  const Batch& output = work->output();
  for (const auto& reject : rejects) {
    const int64_t origin =
        output.origins.empty() ? reject.output_row : output.origins[static_cast<size_t>(reject.output_row)];
    if (origin < 0) {
      letters.push_back({.record = output.records->Slice(reject.output_row, 1),
                         .reason = reject.reason,
                         .writers = reject.writers,
                         .is_processed = true});
      continue;
    }
    // As it came in, so that it can go through the whole pipeline again; once, whatever was made of it.
    const auto [found, is_new] = letter_of.emplace(origin, letters.size());
    if (is_new) {
      letters.push_back({.record = work->input().records->Slice(origin, 1),
                         .reason = reject.reason,
                         .writers = reject.writers});
      continue;
    }
    auto& writers = letters[found->second].writers;
    if (writers.empty() || reject.writers.empty()) {
      writers.clear();
    } else {
      writers.insert(writers.end(), reject.writers.begin(), reject.writers.end());
      std::sort(writers.begin(), writers.end());
      writers.erase(std::unique(writers.begin(), writers.end()), writers.end());
    }
  }
  const Status status = PutLetters(letters, abort);
  parts_.counters.rejected += rejects.size();
  for (const auto& reject : rejects) {
    work->SettleOutput(reject.output_row, status.ok()
                                              ? Outcome{OutcomeKind::kRejected, reject.reason, reject.writers}
                                              : Outcome{OutcomeKind::kFailed, status.error().ToString()});
  }
}

void WriteStage::Refuse(Work* work, const std::vector<Refused>& rows, const std::stop_token& abort) {
  if (rows.empty()) return;
  std::vector<DeadLetter> letters;
  for (const auto& one : rows)
    letters.push_back({.record = work->input().records->Slice(one.input_row, 1),
                       .reason = one.reason,
                       .writers = one.writers});
  const Status status = PutLetters(letters, abort);
  for (const auto& one : rows) {
    work->Resolve(one.input_row, status.ok() ? Outcome{OutcomeKind::kRejected, one.reason, one.writers}
                                             : Outcome{OutcomeKind::kFailed, status.error().ToString()});
  }
}

}  // namespace sluice::pipeline

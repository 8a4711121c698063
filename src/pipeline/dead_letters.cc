#include "pipeline/dead_letters.h"

#include <arrow/api.h>

#include <numeric>
#include <utility>

#include "base/instant.h"
#include "columnar/arrow_status.h"
#include "pipeline/backoff.h"
#include "pipeline/json_scan.h"
#include "pipeline/record.h"
#include "pipeline/rows.h"

namespace sluice::pipeline {
namespace {

constexpr int kExtraColumn = static_cast<int>(Column::kExtra);

// The unknown fields with ours in front of them.
std::string WithReason(std::string_view extra, std::string_view ours) {
  std::string text = "{";
  AppendJsonText(kDeadLetterField, &text);
  text += ':';
  text += ours;
  if (extra.size() > 2) {
    text += ',';
    text += extra.substr(1);
  } else {
    text += '}';
  }
  return text;
}

// The value of the field.
std::string LabelOf(const DeadLetter& letter, bool is_processed, const Environment& environment,
                    std::string_view now) {
  std::string ours;
  const auto add_text = [&](std::string_view name, std::string_view text) {
    ours += ours.empty() ? "{" : ",";
    AppendJsonText(name, &ours);
    ours += ':';
    AppendJsonText(text, &ours);
  };
  add_text("reason", environment.Clean(letter.reason));
  add_text("time", now);
  add_text("pipeline", environment.pipeline());
  if (letter.is_raw) ours += ",\"raw\":true";
  if (!letter.ingestor.empty()) add_text("ingestor", letter.ingestor);
  if (!letter.writers.empty()) {
    std::string names;
    for (const auto& name : letter.writers) {
      names += names.empty() ? '[' : ',';
      AppendJsonText(name, &names);
    }
    ours += ",\"writers\":" + names + ']';
  }
  if (is_processed || letter.is_processed) ours += ",\"processed\":true";
  return ours + '}';
}

Result<std::shared_ptr<arrow::RecordBatch>> Label(const std::vector<DeadLetter>& letters, bool is_processed,
                                                  const Environment& environment) {
  std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
  arrow::StringBuilder extras;
  const std::string now = FormatInstant(environment.clock().Now().TruncatedToMillis());
  for (const auto& letter : letters) {
    parts.push_back(letter.record);
    const auto& extra = static_cast<const arrow::StringArray&>(*letter.record->column(kExtraColumn));
    RETURN_IF_ARROW_ERROR(extras.Append(WithReason(extra.IsNull(0) ? std::string_view() : extra.GetView(0),
                                                   LabelOf(letter, is_processed, environment, now))));
  }
  ASSIGN_OR_RETURN(auto records, JoinRecords(parts));
  std::shared_ptr<arrow::Array> column;
  RETURN_IF_ARROW_ERROR(extras.Finish(&column));
  ASSIGN_OR_RETURN_ARROW(auto labelled, records->SetColumn(kExtraColumn, RecordSchema()->field(kExtraColumn),
                                                           std::move(column)));
  return labelled;
}

}  // namespace

DeadLetters::DeadLetters(std::unique_ptr<IngestionWriter> writer, Environment& environment,
                         StageCounters& counters, std::string told)
    : main_{std::move(writer)}, environment_(environment), counters_(counters), told_(std::move(told)) {}

void DeadLetters::SetLastResort(std::unique_ptr<IngestionWriter> writer, std::string name) {
  std::lock_guard lock(mutex_);
  last_resort_.writer = std::move(writer);
  last_resort_name_ = std::move(name);
}

void DeadLetters::SetProcessed() {
  std::lock_guard lock(mutex_);
  is_processed_ = true;
}

Status DeadLetters::Open(std::stop_token stop) {
  if (!main_.writer) return {};
  std::lock_guard lock(mutex_);
  auto status = main_.writer->Open(std::move(stop));
  if (!status.ok()) return std::move(status).error().With("dead_letter");
  main_.is_open = true;
  return {};
}

// Leaves in `rows` what is not there yet, and moves what is refused for good to `refused`.
Status DeadLetters::TryOnce(Place& place, const Batch& batch, std::vector<int32_t>* rows,
                            std::vector<int32_t>* refused, std::string* why, std::stop_token stop) {
  if (!place.is_open) RETURN_IF_ERROR(place.writer->Open(stop));
  place.is_open = true;
  ASSIGN_OR_RETURN(const Batch part, TakeRows(batch, *rows));
  ASSIGN_OR_RETURN(const Outcomes outcomes, place.writer->Write(part, std::move(stop)));
  std::vector<int32_t> left;
  for (size_t i = 0; i < rows->size(); ++i) {
    const Outcome outcome = i < outcomes.size() ? outcomes[i] : Outcome{OutcomeKind::kFailed, "no outcome"};
    if (outcome.kind != OutcomeKind::kFailed && outcome.kind != OutcomeKind::kRejected) continue;
    *why = outcome.reason;
    (outcome.kind == OutcomeKind::kRejected ? refused : &left)->push_back((*rows)[i]);
  }
  *rows = std::move(left);
  return {};
}

// Tried until all rows are there or, where somebody asks for them, refused.
Status DeadLetters::Put(Place& place, const Batch& batch, std::vector<int32_t> rows,
                        std::vector<int32_t>* refused, std::stop_token stop) {
  const RetryOptions retry;
  for (int64_t attempt = 1;; ++attempt) {
    std::string why;
    std::vector<int32_t> kept_back;
    const auto done = TryOnce(place, batch, &rows, refused ? refused : &kept_back, &why, stop);
    rows.insert(rows.end(), kept_back.begin(), kept_back.end());
    if (!done.ok()) why = done.error().ToString();
    if (done.ok() && rows.empty()) return {};
    RETURN_IF_ERROR(place.writer->fatal());
    if (attempt == 1) environment_.Note("the dead letters cannot be written, trying on: " + why);
    ++counters_.retries;
    if (!SleepFor(PauseBefore(retry, attempt), stop))
      return MakeError(ErrorCode::kCancelled, "stopped before the dead letters were written: {}", why);
  }
}

Status DeadLetters::Write(const std::vector<DeadLetter>& letters, std::stop_token stop) {
  if (letters.empty()) return {};
  counters_.records += letters.size();
  if (!main_.writer) {
    environment_.Note(fmt::format("{} record(s) rejected and, with dead_letter: none, gone; the first: {}",
                                  letters.size(), letters.front().reason));
    return {};
  }
  std::lock_guard lock(mutex_);
  Batch batch;
  ASSIGN_OR_RETURN(batch.records, Label(letters, is_processed_, environment_));
  counters_.bytes += SizeOf(*batch.records);
  std::vector<int32_t> rows(letters.size());
  std::iota(rows.begin(), rows.end(), 0);
  // Even a dead letter that is refused has to stay somewhere.
  std::vector<int32_t> refused;
  RETURN_IF_ERROR(Put(main_, batch, std::move(rows), last_resort_.writer ? &refused : nullptr, stop));
  if (!refused.empty()) {
    environment_.Note(fmt::format("{} dead letter(s) refused by the writer of dead_letter, kept in '{}'",
                                  refused.size(), last_resort_name_));
    RETURN_IF_ERROR(Put(last_resort_, batch, std::move(refused), nullptr, stop));
  }
  counters_.batches += 1;
  if (!told_.empty())
    environment_.Note(fmt::format("{} record(s) rejected, kept in '{}'; the first: {}", letters.size(),
                                  std::exchange(told_, ""), letters.front().reason));
  return {};
}

Status DeadLetters::fatal() const {
  for (const Place* place : {&main_, &last_resort_}) {
    Status status = place->writer ? place->writer->fatal() : OkStatus();
    if (!status.ok()) return std::move(status).error().With("dead_letter");
  }
  return {};
}

Status DeadLetters::Close() {
  std::lock_guard lock(mutex_);
  Status closed;
  for (Place* place : {&main_, &last_resort_}) {
    Status status = place->is_open ? place->writer->Close() : OkStatus();
    if (closed.ok()) closed = std::move(status);
  }
  return closed;
}

}  // namespace sluice::pipeline

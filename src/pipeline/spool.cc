#include "pipeline/spool.h"

#include <arrow/record_batch.h>

#include <algorithm>

#include "pipeline/durable_file.h"
#include "pipeline/record.h"
#include "storage/disk.h"

namespace sluice::pipeline {
namespace {

constexpr uint8_t kRecordsType = 1;
constexpr uint64_t kReadAheadBytes = 8 << 20;

log::LogOptions OptionsFor(uint64_t max_bytes) {
  log::LogOptions options;
  options.max_log_bytes = max_bytes;
  // Space comes back a file at a time.
  options.segment_bytes = std::clamp<uint64_t>(max_bytes / 8, 128 << 10, 64 << 20);
  return options;
}

}  // namespace

Result<std::unique_ptr<Spool>> Spool::Open(const std::string& folder, uint64_t max_bytes) {
  RETURN_IF_ERROR(storage::MakeFolders(storage::Disk::Real(), folder));
  auto lock = storage::FileLock::Acquire(folder + "/lock", std::chrono::milliseconds(2000));
  if (!lock.ok()) return std::move(lock).error().With(fmt::format("spool '{}'", folder));
  auto log = log::Log::Open(folder + "/log", OptionsFor(max_bytes));
  if (!log.ok()) return std::move(log).error().With(fmt::format("spool '{}'", folder));
  auto spool = std::unique_ptr<Spool>(new Spool(folder, max_bytes, *std::move(lock), *std::move(log)));
  spool->cursor_ = spool->log_->begin();
  ASSIGN_OR_RETURN(const auto text, ReadFileIfThere(spool->PlaceFile()));
  if (text) {
    ASSIGN_OR_RETURN(const auto place, log::Position::Parse(*text));
    if (place.log_id != spool->log_->id())
      return MakeError(ErrorCode::kPrecondition,
                       "spool '{}': the place in '{}' belongs to another log; remove the file to read the "
                       "spool from its beginning",
                       folder, spool->PlaceFile());
    if (place.sequence > spool->cursor_.sequence) spool->cursor_ = place;
  }
  spool->done_ = spool->saved_ = spool->cursor_;
  return spool;
}

Status Spool::Append(const arrow::RecordBatch& records, int64_t* appended) {
  *appended = 0;
  const uint64_t part_bytes = OptionsFor(max_bytes_).segment_bytes / 2;
  std::string text, line;
  const auto write = [&](int64_t end) -> Status {
    if (text.empty()) return {};
    auto position = log_->Append(kRecordsType, text);
    if (!position.ok()) return std::move(position).error();
    *appended = end;
    text.clear();
    {
      std::lock_guard lock(mutex_);  // whoever looked before the append is waiting by now
    }
    appended_.notify_all();
    return {};
  };
  for (int64_t row = 0; row < records.num_rows(); ++row) {
    line.clear();
    AppendRecord(records, row, {.write_empty = false, .pretty = false}, &line);
    line += '\n';
    if (text.size() + line.size() > part_bytes) RETURN_IF_ERROR(write(row));
    if (line.size() > max_bytes_ / 2)
      return MakeError(ErrorCode::kTooLarge, "a record of {} bytes is too large for a spool of {}",
                       line.size(), max_bytes_);
    text += line;
  }
  return write(records.num_rows());
}

Status Spool::ReadAhead() {
  uint64_t bytes = 0;
  const Error enough(ErrorCode::kCancelled, "enough");
  const log::Position end = log_->end();
  auto status = log_->Replay(cursor_, [&](const log::Record& record) -> Status {
    cursor_ = record.next;
    if (record.type != kRecordsType) return {};
    bytes += record.payload.size();
    ahead_.push_back(record);
    if (bytes >= kReadAheadBytes) return enough;
    return {};
  });
  if (!status.ok() && status.error().code() != ErrorCode::kCancelled)
    return std::move(status).error().With(fmt::format("spool '{}'", folder_));
  // Over the log's own markers at its end.
  if (status.ok() && cursor_.sequence < end.sequence) cursor_ = end;
  return {};
}

Result<std::optional<SpoolEntry>> Spool::Next(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (ahead_.empty()) {
    RETURN_IF_ERROR(ReadAhead());
    if (!ahead_.empty()) break;
    appended_.wait(lock, stop, [&] { return log_->end().sequence > cursor_.sequence; });
    if (stop.stop_requested()) return std::optional<SpoolEntry>();
  }
  const log::Record record = std::move(ahead_.front());
  ahead_.pop_front();
  given_.push_back({record.position.sequence, record.next, false});
  lock.unlock();
  ParseLimits limits;
  limits.layout = Layout::kLines;
  limits.max_record_bytes = UINT32_MAX;
  ASSIGN_OR_RETURN(auto parsed, ParseRecords(record.payload, limits));
  if (!parsed.bad.empty())
    return Corruption("spool '{}': record {}: {}", folder_, record.position.ToString(), parsed.bad[0].reason);
  SpoolEntry entry;
  entry.records = std::move(parsed.records);
  entry.sequence = record.position.sequence;
  return std::optional<SpoolEntry>(std::move(entry));
}

void Spool::Done(uint64_t sequence) {
  std::lock_guard lock(mutex_);
  const auto found =
      std::lower_bound(given_.begin(), given_.end(), sequence,
                       [](const Given& one, uint64_t wanted) { return one.sequence < wanted; });
  if (found == given_.end() || found->sequence != sequence) return;
  found->is_done = true;
  while (!given_.empty() && given_.front().is_done) {
    done_ = given_.front().next;
    given_.pop_front();
  }
}

Status Spool::Save() {
  log::Position place;
  {
    std::lock_guard lock(mutex_);
    if (done_ == saved_) return {};
    place = done_;
  }
  RETURN_IF_ERROR(WriteFileDurably(PlaceFile(), place.ToString()));
  {
    std::lock_guard lock(mutex_);
    saved_ = place;
  }
  return log_->DeleteUpTo(place);
}

Status Spool::Close() {
  RETURN_IF_ERROR(Save());
  return log_->Close();
}

bool Spool::is_drained() const {
  std::lock_guard lock(mutex_);
  return ahead_.empty() && given_.empty() && log_->end().sequence <= cursor_.sequence;
}

}  // namespace sluice::pipeline

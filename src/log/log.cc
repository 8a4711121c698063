#include "log/log.h"

#include <fcntl.h>

#include <algorithm>
#include <optional>

#include "base/mutex.h"
#include "log/log_internal.h"
#include "storage/disk.h"

namespace sluice::log {
namespace {

using storage::Disk;
using storage::File;

class SegmentLog final : public Log {
 public:
  SegmentLog(Disk& disk, std::string folder, const LogOptions& options, OpenedFiles files)
      : disk_(disk),
        folder_(std::move(folder)),
        options_(options),
        id_(files.segments[0].log_id),
        recovery_(files.recovery),
        segments_(std::move(files.segments)),
        file_(std::move(files.file)),
        offset_(files.offset),
        next_sequence_(files.next_sequence),
        durable_offset_(files.offset),
        durable_sequence_(files.next_sequence - 1),
        is_marked_(files.is_marked) {}

  const std::string& id() const override { return id_; }
  const Recovery& recovery() const override { return recovery_; }

  Result<Position> Append(uint8_t type, std::string_view payload) override {
    RETURN_IF_ERROR(CheckType(type));
    MutexLock lock(mutex_);
    ASSIGN_OR_RETURN(const Position position, Place(type, payload));
    RETURN_IF_ERROR(Drain(position.sequence));
    return position;
  }

  Result<Position> Enqueue(uint8_t type, std::string_view payload) override {
    RETURN_IF_ERROR(CheckType(type));
    MutexLock lock(mutex_);
    return Place(type, payload);
  }

  Status WaitFor(const Position& position) override;
  Position begin() const override {
    MutexLock lock(mutex_);
    return {id_, segments_[0].number, kSegmentHeaderBytes, segments_[0].first_sequence};
  }
  Position end() const override {
    MutexLock lock(mutex_);
    return {id_, segments_.back().number, durable_offset_, durable_sequence_ + 1};
  }
  Result<Record> Read(const Position& position) const override;
  Status Replay(const Position& from, const std::function<Status(const Record&)>& visit) const override;
  Status DeleteUpTo(const Position& position) override;
  uint64_t size_bytes() const override {
    MutexLock lock(mutex_);
    return TotalBytes();
  }
  Status Close() override;

 private:
  // The durable extent at one moment.
  struct Extent {
    std::vector<SegmentHeader> segments;  // from the asked one on
    uint64_t end_offset = 0;              // in the last of them
    uint64_t next_sequence = 0;           // behind the end
  };

  uint64_t TotalBytes() const REQUIRES(mutex_) {
    uint64_t total = 0;
    for (const SegmentHeader& segment : segments_) total += segment.capacity;
    return total;
  }
  std::string PathOf(uint64_t segment) const {
    return fmt::format("{}/{}", folder_, SegmentFileName(segment));
  }

  static Status CheckType(uint8_t type) {
    if (type == kMarkerType) return InvalidArgument("record type 0 is the log's own");
    return {};
  }
  Status CheckUsable() const REQUIRES(mutex_);
  // Gives the record its place and number; what is written is left to Drain.
  Result<Position> Place(uint8_t type, std::string_view payload) REQUIRES(mutex_);
  // Returns once every record up to `sequence` is durable, writing for all when nobody else does.
  Status Drain(uint64_t sequence) REQUIRES(mutex_);
  // Starts a segment with room for `size` bytes of record. Everything before is durable then.
  Status Roll(uint64_t size) REQUIRES(mutex_);
  void WaitWhileBusy() REQUIRES(mutex_) {
    changed_.Wait(mutex_, [this]() NO_THREAD_SAFETY_ANALYSIS { return !is_busy_; });
  }
  Status CheckPosition(const Position& position, bool may_be_end) const REQUIRES(mutex_);
  Result<Extent> ExtentFrom(const Position& from, bool may_be_end) const EXCLUDES(mutex_);
  // Visits the records from `from` up to the one before `end_sequence`.
  Status ReplaySegment(const SegmentHeader& segment, const Position& from, uint64_t limit,
                       uint64_t end_sequence, const std::function<Status(const Record&)>& visit) const;
  Record MakeRecord(const SegmentHeader& segment, uint64_t offset, const SegmentReader& reader) const;

  Disk& disk_;
  const std::string folder_;
  const LogOptions options_;
  const std::string id_;
  const Recovery recovery_;

  mutable Mutex mutex_;
  CondVar changed_;
  std::vector<SegmentHeader> segments_ GUARDED_BY(mutex_);
  // Of the last segment. Used without the mutex by whoever set is_busy_.
  std::unique_ptr<File> file_;
  uint64_t offset_ GUARDED_BY(mutex_);         // of the next record, behind the pending ones
  uint64_t next_sequence_ GUARDED_BY(mutex_);  // of the next record
  uint64_t durable_offset_ GUARDED_BY(mutex_);
  uint64_t durable_sequence_ GUARDED_BY(mutex_);
  std::string pending_ GUARDED_BY(mutex_);   // encoded, not yet handed to the disk
  bool is_busy_ GUARDED_BY(mutex_) = false;  // one thread writes, or makes a segment
  bool is_rolling_ GUARDED_BY(mutex_) = false;
  bool is_marked_ GUARDED_BY(mutex_);
  bool is_closed_ GUARDED_BY(mutex_) = false;
  std::optional<Error> broken_ GUARDED_BY(mutex_);
};

Status SegmentLog::CheckUsable() const {
  if (broken_) {
    return MakeError(ErrorCode::kUnavailable, "log '{}' takes no more records since an error: {}", folder_,
                     broken_->ToString());
  }
  if (is_closed_) return MakeError(ErrorCode::kUnavailable, "log '{}' is closed", folder_);
  return {};
}

Result<Position> SegmentLog::Place(uint8_t type, std::string_view payload) {
  if (payload.size() > options_.max_record_bytes || payload.size() > UINT32_MAX) {
    return MakeError(ErrorCode::kTooLarge, "record of {} bytes is larger than the log's limit of {}",
                     payload.size(), options_.max_record_bytes);
  }
  const uint64_t size = RecordSize(payload.size());
  while (true) {
    RETURN_IF_ERROR(CheckUsable());
    if (is_rolling_) {
      WaitWhileBusy();
    } else if (size > segments_.back().capacity - offset_) {
      RETURN_IF_ERROR(Roll(size));
    } else if (!pending_.empty() && pending_.size() + size > options_.max_pending_bytes) {
      RETURN_IF_ERROR(Drain(next_sequence_ - 1));
    } else {
      break;
    }
  }
  Position position{id_, segments_.back().number, offset_, next_sequence_};
  EncodeRecord(segments_.back(), offset_, type, next_sequence_, durable_sequence_, payload, pending_);
  offset_ += size;
  ++next_sequence_;
  is_marked_ = type == kMarkerType;
  return position;
}

Status SegmentLog::Drain(uint64_t sequence) {
  while (durable_sequence_ < sequence) {
    if (broken_) return CheckUsable();
    if (is_busy_) {
      WaitWhileBusy();
      continue;
    }
    is_busy_ = true;
    const std::string bytes = std::move(pending_);
    pending_.clear();
    const uint64_t begin = durable_offset_;
    const uint64_t last = next_sequence_ - 1;
    mutex_.Unlock();
    Status outcome = file_->WriteAll(bytes, begin);
    if (outcome.ok()) outcome = file_->SyncData();
    mutex_.Lock();
    is_busy_ = false;
    if (outcome.ok()) {
      durable_offset_ = begin + bytes.size();
      durable_sequence_ = last;
    } else {
      broken_ = outcome.error();
    }
    changed_.NotifyAll();
    if (!outcome.ok()) return outcome;
  }
  return {};
}

Status SegmentLog::Roll(uint64_t size) {
  RETURN_IF_ERROR(Drain(next_sequence_ - 1));
  // Somebody else may have come first: then the caller looks again.
  if (is_busy_ || durable_sequence_ + 1 != next_sequence_ || size <= segments_.back().capacity - offset_) {
    WaitWhileBusy();
    return {};
  }
  const SegmentHeader header{.log_id = id_,
                             .number = segments_.back().number + 1,
                             .first_sequence = next_sequence_,
                             .capacity = std::max(options_.segment_bytes, kSegmentHeaderBytes + size)};
  if (options_.max_log_bytes != 0 && TotalBytes() + header.capacity > options_.max_log_bytes) {
    return MakeError(ErrorCode::kResourceExhausted, "log '{}' has reached its limit of {} bytes", folder_,
                     options_.max_log_bytes);
  }
  is_busy_ = is_rolling_ = true;
  mutex_.Unlock();
  auto file = MakeSegment(disk_, folder_, header);
  mutex_.Lock();
  is_busy_ = is_rolling_ = false;
  changed_.NotifyAll();
  if (!file.ok()) {
    Error error = std::move(file).error();
    // A full disk leaves nothing behind and may pass. After anything else the new name may be there or not.
    if (error.code() != ErrorCode::kResourceExhausted) broken_ = error;
    return error;
  }
  file_ = std::move(file).value();
  segments_.push_back(header);
  offset_ = durable_offset_ = kSegmentHeaderBytes;
  return {};
}

Status SegmentLog::CheckPosition(const Position& position, bool may_be_end) const {
  if (position.log_id != id_) {
    return MakeError(ErrorCode::kPrecondition, "position '{}' is of another log than '{}'",
                     position.ToString(), id_);
  }
  if (position.segment < segments_[0].number) {
    return NotFound("position '{}' was deleted, the log begins at segment {}", position.ToString(),
                    segments_[0].number);
  }
  const uint64_t last = segments_.back().number;
  const uint64_t behind = durable_sequence_ + 1;
  if (position.segment > last || position.sequence > behind || (position.sequence == behind && !may_be_end)) {
    return NotFound("position '{}' is beyond the log's end at {}:{}:{}", position.ToString(), last,
                    durable_offset_, behind);
  }
  return {};
}

Status SegmentLog::WaitFor(const Position& position) {
  MutexLock lock(mutex_);
  if (position.log_id != id_) return CheckPosition(position, true);
  if (position.sequence >= next_sequence_) return CheckPosition(position, false);
  return Drain(position.sequence);
}

Result<SegmentLog::Extent> SegmentLog::ExtentFrom(const Position& from, bool may_be_end) const {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(CheckPosition(from, may_be_end));
  Extent extent;
  extent.segments.assign(segments_.begin() + static_cast<std::ptrdiff_t>(from.segment - segments_[0].number),
                         segments_.end());
  extent.end_offset = durable_offset_;
  extent.next_sequence = durable_sequence_ + 1;
  return extent;
}

Record SegmentLog::MakeRecord(const SegmentHeader& segment, uint64_t offset,
                              const SegmentReader& reader) const {
  Record record;
  record.position = {id_, segment.number, offset, reader.header().sequence};
  record.next = {id_, segment.number, reader.offset(), reader.header().sequence + 1};
  record.type = reader.header().type;
  record.payload = reader.payload();
  return record;
}

Result<Record> SegmentLog::Read(const Position& position) const {
  ASSIGN_OR_RETURN(const Extent extent, ExtentFrom(position, false));
  const SegmentHeader& segment = extent.segments[0];
  ASSIGN_OR_RETURN(auto file, File::Open(disk_, PathOf(segment.number), O_RDONLY));
  const uint64_t limit = extent.segments.size() == 1 ? extent.end_offset : segment.capacity;
  SegmentReader reader(*file, segment, position.offset, limit);
  ASSIGN_OR_RETURN(const auto outcome, reader.Next());
  if (outcome != SegmentReader::Outcome::kRecord || reader.header().sequence != position.sequence) {
    return Corruption("'{}' does not hold record {} at offset {}", file->path(), position.sequence,
                      position.offset);
  }
  return MakeRecord(segment, position.offset, reader);
}

Status SegmentLog::ReplaySegment(const SegmentHeader& segment, const Position& from, uint64_t limit,
                                 uint64_t end_sequence,
                                 const std::function<Status(const Record&)>& visit) const {
  if (from.sequence == end_sequence) return {};
  ASSIGN_OR_RETURN(auto file, File::Open(disk_, PathOf(segment.number), O_RDONLY));
  SegmentReader reader(*file, segment, from.offset, limit);
  for (uint64_t expected = from.sequence; expected < end_sequence; ++expected) {
    const uint64_t at = reader.offset();
    ASSIGN_OR_RETURN(const auto outcome, reader.Next());
    if (outcome != SegmentReader::Outcome::kRecord || reader.header().sequence != expected) {
      return Corruption("'{}' at offset {}: record {} is damaged or missing", file->path(), at, expected);
    }
    if (reader.header().type != kMarkerType) RETURN_IF_ERROR(visit(MakeRecord(segment, at, reader)));
  }
  return {};
}

Status SegmentLog::Replay(const Position& from, const std::function<Status(const Record&)>& visit) const {
  ASSIGN_OR_RETURN(const Extent extent, ExtentFrom(from, true));
  Position begin = from;
  for (size_t i = 0; i < extent.segments.size(); ++i) {
    const bool is_last = i + 1 == extent.segments.size();
    const uint64_t end_sequence = is_last ? extent.next_sequence : extent.segments[i + 1].first_sequence;
    const uint64_t limit = is_last ? extent.end_offset : extent.segments[i].capacity;
    RETURN_IF_ERROR(ReplaySegment(extent.segments[i], begin, limit, end_sequence, visit));
    begin = {id_, extent.segments[i].number + 1, kSegmentHeaderBytes, end_sequence};
  }
  return {};
}

Status SegmentLog::DeleteUpTo(const Position& position) {
  MutexLock lock(mutex_);
  if (position.log_id != id_) return CheckPosition(position, true);
  while (segments_.size() > 1 && segments_[0].number < position.segment) {
    // One by one, each removal durable before the next: a power cut leaves no gap.
    const int outcome = disk_.Remove(PathOf(segments_[0].number));
    if (outcome < 0 && outcome != -ENOENT) {
      return FromErrno(-outcome, fmt::format("cannot remove '{}'", PathOf(segments_[0].number)));
    }
    segments_.erase(segments_.begin());
    RETURN_IF_ERROR(storage::SyncFolder(disk_, folder_));
  }
  return {};
}

Status SegmentLog::Close() {
  MutexLock lock(mutex_);
  if (is_closed_) return {};
  if (broken_) {
    is_closed_ = true;
    return CheckUsable();
  }
  Status outcome = Drain(next_sequence_ - 1);
  // A marker is not worth a new segment.
  const bool has_room = RecordSize(0) <= segments_.back().capacity - offset_;
  if (outcome.ok() && !is_marked_ && has_room) {
    auto marker = Place(kMarkerType, {});
    outcome = marker.ok() ? Drain(next_sequence_ - 1) : Status(std::move(marker).error());
  }
  is_closed_ = true;
  return outcome;
}

}  // namespace

Result<std::unique_ptr<Log>> Log::Open(const std::string& folder, const LogOptions& options) {
  return OpenOn(Disk::Real(), folder, options);
}

Result<std::unique_ptr<Log>> Log::OpenOn(Disk& disk, const std::string& folder, const LogOptions& options) {
  if (options.segment_bytes < kSegmentHeaderBytes + kRecordHeaderBytes) {
    return InvalidArgument("segments of {} bytes have no room for a record", options.segment_bytes);
  }
  ASSIGN_OR_RETURN(OpenedFiles files, RecoverFiles(disk, folder, options));
  return std::unique_ptr<Log>(std::make_unique<SegmentLog>(disk, folder, options, std::move(files)));
}

}  // namespace sluice::log

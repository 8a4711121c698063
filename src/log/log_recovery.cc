#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/random.h"
#include "log/log_internal.h"
#include "storage/name.h"

namespace sluice::log {
namespace {

namespace fs = std::filesystem;
using storage::Disk;
using storage::File;

// Numbers of the segments in the folder, in order; removes what a crash left of a segment being made.
Result<std::vector<uint64_t>> FindSegments(Disk& disk, const std::string& folder) {
  std::vector<uint64_t> numbers;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (storage::IsPendingName(name)) {
      (void)disk.Remove(it->path().string());
    } else if (auto number = ParseSegmentFileName(name)) {
      numbers.push_back(*number);
    }
  }
  if (error && error.value() != ENOENT)
    return FromErrno(error.value(), fmt::format("cannot list '{}'", folder));
  std::ranges::sort(numbers);
  for (size_t i = 1; i < numbers.size(); ++i) {
    if (numbers[i] != numbers[i - 1] + 1) {
      return Corruption("log '{}' lacks segment '{}'", folder, SegmentFileName(numbers[i - 1] + 1));
    }
  }
  return numbers;
}

Result<SegmentHeader> ReadHeader(const File& file, uint64_t number) {
  ASSIGN_OR_RETURN(const std::string bytes, file.ReadSome(0, kSegmentHeaderBytes));
  ASSIGN_OR_RETURN(SegmentHeader header, DecodeSegmentHeader(bytes, file.path()));
  if (header.number != number) {
    return Corruption("'{}' says that it is segment {}", file.path(), header.number);
  }
  return header;
}

Result<OpenedFiles> MakeLog(Disk& disk, const std::string& folder, const LogOptions& options) {
  RETURN_IF_ERROR(storage::MakeFolders(disk, folder));
  OpenedFiles files;
  files.segments = {
      {.log_id = NewUuid(), .number = 1, .first_sequence = 1, .capacity = options.segment_bytes}};
  ASSIGN_OR_RETURN(files.file, MakeSegment(disk, folder, files.segments[0]));
  files.offset = kSegmentHeaderBytes;
  files.is_marked = true;
  return files;
}

// Walks the last segment up to the first place without a record, and decides what that is: the end, a torn
// write, or damage. Damage it is when a later record proves that the missing one had been durable.
Status ScanLast(OpenedFiles& files, uint64_t& last_durable, uint64_t& unproven_offset) {
  const SegmentHeader& segment = files.segments.back();
  SegmentReader reader(*files.file, segment, kSegmentHeaderBytes, segment.capacity);
  files.next_sequence = segment.first_sequence;
  files.is_marked = true;
  last_durable = segment.first_sequence - 1;
  std::vector<uint64_t> offsets;  // of the records not proven durable
  uint64_t first_unproven = segment.first_sequence;
  while (true) {
    const uint64_t at = reader.offset();
    ASSIGN_OR_RETURN(const auto outcome, reader.Next());
    if (outcome != SegmentReader::Outcome::kRecord) break;
    if (reader.header().sequence != files.next_sequence) {
      return Corruption("'{}' at offset {}: record {} instead of {}", files.file->path(), at,
                        reader.header().sequence, files.next_sequence);
    }
    offsets.push_back(at);
    last_durable = std::max(last_durable, reader.header().durable);
    const uint64_t proven = last_durable + 1 > first_unproven ? last_durable + 1 - first_unproven : 0;
    offsets.erase(offsets.begin(),
                  offsets.begin() + static_cast<std::ptrdiff_t>(std::min<uint64_t>(proven, offsets.size())));
    first_unproven += proven;
    files.is_marked = reader.header().type == kMarkerType;
    ++files.next_sequence;
    ++files.recovery.records;
  }
  files.offset = reader.offset();
  unproven_offset = offsets.empty() ? files.offset : offsets.front();
  ASSIGN_OR_RETURN(const bool was_durable, reader.FindProofOf(files.next_sequence));
  if (was_durable) {
    return Corruption("'{}' at offset {}: record {} is damaged, and it had been acknowledged",
                      files.file->path(), files.offset, files.next_sequence);
  }
  ASSIGN_OR_RETURN(const uint64_t end, reader.EndOfBytes());
  files.recovery.cut_bytes = end - files.offset;
  return {};
}

// Records that nobody knows to be durable may be in the kernel's memory only, and clean there after a failed
// sync: they are written once more, so that the sync that follows means something.
Status Settle(OpenedFiles& files, uint64_t unproven_offset) {
  File& file = *files.file;
  ASSIGN_OR_RETURN(const uint64_t size, file.Size());
  if (files.recovery.cut_bytes > 0) RETURN_IF_ERROR(file.Truncate(files.offset));
  constexpr uint64_t kPiece = 4 << 20;
  for (uint64_t at = unproven_offset; at < files.offset; at += kPiece) {
    ASSIGN_OR_RETURN(const std::string bytes, file.ReadSome(at, std::min(kPiece, files.offset - at)));
    RETURN_IF_ERROR(file.WriteAll(bytes, at));
  }
  const uint64_t capacity = files.segments.back().capacity;
  if (files.recovery.cut_bytes > 0 || size < capacity) RETURN_IF_ERROR(file.Allocate(capacity));
  return file.Sync();
}

}  // namespace

Result<std::unique_ptr<File>> MakeSegment(Disk& disk, const std::string& folder,
                                          const SegmentHeader& header) {
  const std::string path = fmt::format("{}/{}", folder, SegmentFileName(header.number));
  const std::string pending = storage::NewPendingName(folder);
  const auto make = [&]() -> Status {
    ASSIGN_OR_RETURN(auto file, File::Open(disk, pending, O_RDWR | O_CREAT | O_EXCL));
    RETURN_IF_ERROR(file->Allocate(header.capacity));
    RETURN_IF_ERROR(file->WriteAll(EncodeSegmentHeader(header), 0));
    RETURN_IF_ERROR(file->Sync());
    if (const int outcome = disk.Rename(pending, path); outcome < 0) {
      return FromErrno(-outcome, fmt::format("cannot rename '{}' to '{}'", pending, path));
    }
    return storage::SyncFolder(disk, folder);
  };
  if (Status made = make(); !made.ok()) {
    (void)disk.Remove(pending);
    return std::move(made).error();
  }
  return File::Open(disk, path, O_RDWR);
}

Result<OpenedFiles> RecoverFiles(Disk& disk, const std::string& folder, const LogOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<uint64_t> numbers, FindSegments(disk, folder));
  if (numbers.empty()) {
    if (!options.expected_id.empty()) {
      return MakeError(ErrorCode::kPrecondition, "log '{}' is missing in '{}'", options.expected_id, folder);
    }
    if (!options.create_if_missing) return NotFound("no log in '{}'", folder);
    return MakeLog(disk, folder, options);
  }
  OpenedFiles files;
  for (uint64_t number : numbers) {
    ASSIGN_OR_RETURN(files.file,
                     File::Open(disk, fmt::format("{}/{}", folder, SegmentFileName(number)), O_RDWR));
    ASSIGN_OR_RETURN(SegmentHeader header, ReadHeader(*files.file, number));
    if (!files.segments.empty() && header.log_id != files.segments[0].log_id) {
      return Corruption("'{}' belongs to log '{}', the segments before to '{}'", files.file->path(),
                        header.log_id, files.segments[0].log_id);
    }
    files.segments.push_back(std::move(header));
  }
  if (!options.expected_id.empty() && files.segments[0].log_id != options.expected_id) {
    return MakeError(ErrorCode::kPrecondition, "'{}' holds log '{}', expected '{}'", folder,
                     files.segments[0].log_id, options.expected_id);
  }
  uint64_t last_durable = 0;
  uint64_t unproven_offset = 0;
  RETURN_IF_ERROR(ScanLast(files, last_durable, unproven_offset));
  RETURN_IF_ERROR(Settle(files, unproven_offset));
  RETURN_IF_ERROR(storage::SyncFolder(disk, folder));
  return files;
}

}  // namespace sluice::log

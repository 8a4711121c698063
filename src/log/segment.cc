#include "log/segment.h"

#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace sluice::log {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are stored little-endian");

constexpr std::string_view kMagic = "SLUICLOG";
constexpr uint32_t kVersion = 1;
constexpr uint64_t kIdBytes = 36;
constexpr uint64_t kHeaderChecksumAt = 88;
constexpr uint64_t kWindowBytes = 1 << 20;

template <class T>
void Put(std::string& out, size_t at, T value) {
  std::memcpy(out.data() + at, &value, sizeof(value));
}

template <class T>
T Take(std::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

// A record counts only in the place it was written for: log, segment and offset go into the checksum.
uint64_t SeedOf(const SegmentHeader& segment, uint64_t offset) {
  const uint64_t place[2] = {segment.number, offset};
  return XXH3_64bits_withSeed(place, sizeof(place),
                              XXH3_64bits(segment.log_id.data(), segment.log_id.size()));
}

// Over the header's first 24 bytes and the payload. Never 0, so that zeros are never a record.
uint64_t ChecksumOf(uint64_t seed, std::string_view header, std::string_view payload) {
  const uint64_t of_header = XXH3_64bits_withSeed(header.data(), 24, seed);
  const uint64_t checksum = XXH3_64bits_withSeed(payload.data(), payload.size(), of_header);
  return checksum == 0 ? 1 : checksum;
}

bool IsZero(std::string_view bytes) {
  // Comparing the text with itself, moved by one, runs at the speed of memory.
  return bytes.empty() ||
         (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

// Where the file has bytes at all, from `offset` on; `limit` when it has none. Preallocated parts that were
// never written are skipped this way; a file system that cannot tell makes it slower, not wrong.
uint64_t NextData(const storage::File& file, uint64_t offset, uint64_t limit) {
  const off_t found = ::lseek(file.fd(), static_cast<off_t>(offset), SEEK_DATA);
  if (found < 0) return errno == ENXIO ? limit : offset;
  return std::min(limit, std::max(offset, static_cast<uint64_t>(found) / 8 * 8));
}

}  // namespace

std::string EncodeSegmentHeader(const SegmentHeader& header) {
  std::string bytes(kSegmentHeaderBytes, '\0');
  kMagic.copy(bytes.data(), kMagic.size());
  Put(bytes, 8, kVersion);
  header.log_id.copy(bytes.data() + 16, kIdBytes);
  Put(bytes, 56, header.number);
  Put(bytes, 64, header.first_sequence);
  Put(bytes, 72, header.capacity);
  Put(bytes, kHeaderChecksumAt, XXH3_64bits(bytes.data(), kHeaderChecksumAt));
  return bytes;
}

Result<SegmentHeader> DecodeSegmentHeader(std::string_view bytes, const std::string& path) {
  if (bytes.size() < kSegmentHeaderBytes || !bytes.starts_with(kMagic)) {
    return Corruption("'{}' does not begin as a log segment", path);
  }
  if (Take<uint64_t>(bytes, kHeaderChecksumAt) != XXH3_64bits(bytes.data(), kHeaderChecksumAt)) {
    return Corruption("'{}' has a damaged header", path);
  }
  if (const uint32_t version = Take<uint32_t>(bytes, 8); version != kVersion) {
    return Unsupported("'{}' is a log segment of version {}, supported is {}", path, version, kVersion);
  }
  SegmentHeader header;
  header.log_id = bytes.substr(16, kIdBytes);
  header.number = Take<uint64_t>(bytes, 56);
  header.first_sequence = Take<uint64_t>(bytes, 64);
  header.capacity = Take<uint64_t>(bytes, 72);
  return header;
}

std::string SegmentFileName(uint64_t number) { return fmt::format("{:020}.seg", number); }

std::optional<uint64_t> ParseSegmentFileName(std::string_view name) {
  if (name.size() != 24 || !name.ends_with(".seg")) return std::nullopt;
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + 20, number);
  if (error != std::errc() || end != name.data() + 20) return std::nullopt;
  return number;
}

uint64_t RecordSize(uint64_t payload_bytes) { return (kRecordHeaderBytes + payload_bytes + 7) / 8 * 8; }

void EncodeRecord(const SegmentHeader& segment, uint64_t offset, uint8_t type, uint64_t sequence,
                  uint64_t durable, std::string_view payload, std::string& out) {
  std::string header(kRecordHeaderBytes, '\0');
  Put(header, 0, static_cast<uint32_t>(payload.size()));
  Put(header, 4, type);
  Put(header, 8, sequence);
  Put(header, 16, durable);
  Put(header, 24, ChecksumOf(SeedOf(segment, offset), header, payload));
  const size_t end = out.size() + RecordSize(payload.size());
  out += header;
  out += payload;
  out.resize(end, '\0');
}

Result<std::string_view> SegmentReader::Window(uint64_t offset, uint64_t size) {
  const uint64_t wanted_end = std::min(offset + size, limit_);
  const uint64_t have_end = window_offset_ + window_.size();
  if (offset < window_offset_ || wanted_end > have_end) {
    const uint64_t length = std::min(std::max(size, kWindowBytes), limit_ > offset ? limit_ - offset : 0);
    ASSIGN_OR_RETURN(window_, file_.ReadSome(offset, length));
    window_offset_ = offset;
  }
  const uint64_t skip = std::min<uint64_t>(offset - window_offset_, window_.size());
  return std::string_view(window_).substr(skip);
}

Result<bool> SegmentReader::Try(uint64_t offset) {
  ASSIGN_OR_RETURN(std::string_view bytes, Window(offset, kRecordHeaderBytes));
  if (bytes.size() < kRecordHeaderBytes) return false;
  RecordHeader header;
  header.length = Take<uint32_t>(bytes, 0);
  header.type = Take<uint8_t>(bytes, 4);
  header.sequence = Take<uint64_t>(bytes, 8);
  header.durable = Take<uint64_t>(bytes, 16);
  header.checksum = Take<uint64_t>(bytes, 24);
  const uint64_t size = RecordSize(header.length);
  if (header.checksum == 0 || header.durable >= header.sequence || size > limit_ - offset) return false;
  ASSIGN_OR_RETURN(bytes, Window(offset, size));
  if (bytes.size() < size) return false;
  const std::string_view payload = bytes.substr(kRecordHeaderBytes, header.length);
  const std::string_view padding = bytes.substr(0, size).substr(kRecordHeaderBytes + header.length);
  if (!IsZero(padding)) return false;
  if (header.checksum != ChecksumOf(SeedOf(segment_, offset), bytes, payload)) return false;
  header_ = header;
  payload_ = payload;
  return true;
}

Result<SegmentReader::Outcome> SegmentReader::Next() {
  if (offset_ >= limit_) return Outcome::kNothing;
  ASSIGN_OR_RETURN(const bool found, Try(offset_));
  if (found) {
    offset_ += RecordSize(header_.length);
    return Outcome::kRecord;
  }
  ASSIGN_OR_RETURN(const std::string_view bytes, Window(offset_, kRecordHeaderBytes));
  const std::string_view header = bytes.substr(0, kRecordHeaderBytes);
  return IsZero(header) ? Outcome::kNothing : Outcome::kInvalid;
}

Result<bool> SegmentReader::FindProofOf(uint64_t sequence) {
  uint64_t at = NextData(file_, offset_, limit_);
  while (at + kRecordHeaderBytes <= limit_) {
    ASSIGN_OR_RETURN(const std::string_view bytes, Window(at, kRecordHeaderBytes));
    if (bytes.size() < kRecordHeaderBytes) break;
    if (IsZero(bytes)) {
      at = NextData(file_, at + bytes.size() / 8 * 8, limit_);
      continue;
    }
    // Cheap tests first: a checksum over a pretended length may be long.
    const uint64_t durable = Take<uint64_t>(bytes, 16);
    const uint64_t number = Take<uint64_t>(bytes, 8);
    if (durable >= sequence && durable < number && number - sequence < limit_ / kRecordHeaderBytes) {
      ASSIGN_OR_RETURN(const bool found, Try(at));
      if (found) return true;
    }
    at += 8;
  }
  return false;
}

Result<uint64_t> SegmentReader::EndOfBytes() {
  uint64_t end = offset_;
  uint64_t at = NextData(file_, offset_, limit_);
  while (at < limit_) {
    ASSIGN_OR_RETURN(const std::string_view bytes, Window(at, std::min(kWindowBytes, limit_ - at)));
    if (bytes.empty()) break;
    if (!IsZero(bytes)) end = at + bytes.find_last_not_of('\0') + 1;
    at = NextData(file_, at + bytes.size(), limit_);
  }
  return end;
}

}  // namespace sluice::log

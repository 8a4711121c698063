#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "storage/disk.h"

// The bytes of one segment file (docs/formats/log.md).
namespace sluice::log {

inline constexpr uint64_t kSegmentHeaderBytes = 96;
inline constexpr uint64_t kRecordHeaderBytes = 32;
inline constexpr uint8_t kMarkerType = 0;  // written at Close

struct SegmentHeader {
  std::string log_id;  // 36 characters
  uint64_t number = 0;
  uint64_t first_sequence = 0;
  uint64_t capacity = 0;  // size of the file
};

std::string EncodeSegmentHeader(const SegmentHeader& header);
// Errors: kCorruption, kUnsupported for another version; both naming `path`.
Result<SegmentHeader> DecodeSegmentHeader(std::string_view bytes, const std::string& path);

// `00000000000000000001.seg`.
std::string SegmentFileName(uint64_t number);
std::optional<uint64_t> ParseSegmentFileName(std::string_view name);

struct RecordHeader {
  uint32_t length = 0;
  uint8_t type = 0;
  uint64_t sequence = 0;
  // Every record up to this number was durable when this one was written. Tells damage from a torn write.
  uint64_t durable = 0;
  uint64_t checksum = 0;
};

// Bytes a record of that payload takes, padding included.
uint64_t RecordSize(uint64_t payload_bytes);
// Appends the record that stands at `offset` of the segment to `out`.
void EncodeRecord(const SegmentHeader& segment, uint64_t offset, uint8_t type, uint64_t sequence,
                  uint64_t durable, std::string_view payload, std::string& out);

// Reads the records of one segment in order. Confined.
class SegmentReader {
 public:
  enum class Outcome {
    kRecord,
    kNothing,  // zeros or the file's end: nothing was written here
    kInvalid,  // bytes that are no record of this place
  };

  // Reads from `offset`, not beyond `limit`. The file must outlive the reader.
  SegmentReader(const storage::File& file, const SegmentHeader& segment, uint64_t offset, uint64_t limit)
      : file_(file), segment_(segment), offset_(offset), limit_(limit) {}

  // Errors: of reading. After kRecord header() and payload() describe it and offset() stands behind it.
  Result<Outcome> Next();
  // Looks from offset() on for a record whose writer knew `sequence` to be durable; false when there is none.
  Result<bool> FindProofOf(uint64_t sequence);
  // Where the last byte other than zero is, from offset() on; offset() when there are only zeros.
  Result<uint64_t> EndOfBytes();

  uint64_t offset() const { return offset_; }
  const RecordHeader& header() const { return header_; }
  // Valid until the next call.
  std::string_view payload() const { return payload_; }

 private:
  // At least `size` bytes at `offset` unless the limit or the end of the file comes first.
  Result<std::string_view> Window(uint64_t offset, uint64_t size);
  // True when a record stands at `offset`; fills header_ and payload_.
  Result<bool> Try(uint64_t offset);

  const storage::File& file_;
  const SegmentHeader& segment_;
  uint64_t offset_;
  const uint64_t limit_;
  std::string window_;
  uint64_t window_offset_ = 0;
  RecordHeader header_;
  std::string_view payload_;
};

}  // namespace sluice::log

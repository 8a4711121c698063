#include "read/shp_file.h"

#include <algorithm>
#include <cstring>

#include "read/blocks.h"
#include "read/random_file.h"

namespace sluice::read {
namespace {

constexpr size_t kHeadBytes = 100;
constexpr size_t kRecordHeadBytes = 8;
constexpr size_t kEntryBytes = 8;
constexpr uint32_t kFileCode = 9994;
constexpr size_t kReadBytes = 1 << 20;

uint32_t BigAt(const char* p) {
  unsigned char b[4];
  std::memcpy(b, p, sizeof b);
  return (uint32_t{b[0]} << 24) | (uint32_t{b[1]} << 16) | (uint32_t{b[2]} << 8) | b[3];
}

// The bytes that the head counts. Lengths in these files count words of 16 bits.
Result<uint64_t> CheckHead(const RandomFile& file) {
  char head[kHeadBytes];
  if (file.size() < kHeadBytes) return InvalidArgument("'{}' is cut off within its head", file.name());
  RETURN_IF_ERROR(file.ReadAt(0, head, sizeof head));
  if (BigAt(head) != kFileCode)
    return InvalidArgument("'{}' is not part of a shapefile: it does not begin with {}", file.name(),
                           kFileCode);
  const uint64_t bytes = uint64_t{BigAt(head + 24)} * 2;
  if (bytes > file.size()) {
    return InvalidArgument("'{}' is cut off: its head says {} bytes and it has {}", file.name(), bytes,
                           file.size());
  }
  return std::max<uint64_t>(bytes, kHeadBytes);
}

Error TooLong(const RandomFile& shp, uint64_t number, uint64_t bytes) {
  return InvalidArgument("record {} of '{}' has {} bytes; the limit is {}", number + 1, shp.name(), bytes,
                         kMaxRecordBytes);
}

// Without an index: one after the other.
class SequentialShapes final : public ShpShapes {
 public:
  SequentialShapes(const RandomFile& shp, uint64_t end) : shp_(shp), end_(end) {}

  std::optional<uint64_t> count() const override { return std::nullopt; }

  Result<std::optional<ShpBlock>> Next(size_t most) override {
    ShpBlock block;
    block.first = number_;
    size_t used = 0;
    while (block.shapes.size() < most && used < kShpBlockBytes && at_ + used < end_) {
      const uint64_t left = end_ - at_ - used;
      if (left < kRecordHeadBytes) return CutOff(block);
      RETURN_IF_ERROR(Fill(&block.bytes, used + kRecordHeadBytes));
      const uint64_t bytes = uint64_t{BigAt(block.bytes.data() + used + 4)} * 2;
      if (bytes > left - kRecordHeadBytes) return CutOff(block);
      if (bytes > kMaxRecordBytes) return TooLong(shp_, number_ + block.shapes.size(), bytes);
      RETURN_IF_ERROR(Fill(&block.bytes, used + kRecordHeadBytes + bytes));
      block.shapes.push_back({used + kRecordHeadBytes, bytes});
      used += kRecordHeadBytes + bytes;
    }
    if (block.shapes.empty()) return std::optional<ShpBlock>();
    at_ += used;
    number_ += block.shapes.size();
    return std::optional<ShpBlock>(std::move(block));
  }

 private:
  Error CutOff(const ShpBlock& block) const {
    return InvalidArgument("'{}' is cut off within record {}", shp_.name(),
                           number_ + block.shapes.size() + 1);
  }
  // At least `size` bytes from `at_` on.
  Status Fill(std::string* bytes, size_t size) {
    if (bytes->size() >= size) return {};
    const size_t old = bytes->size();
    const size_t wanted = std::min<uint64_t>(std::max(size, old + kReadBytes), end_ - at_);
    bytes->resize(wanted);
    return shp_.ReadAt(at_ + old, bytes->data() + old, wanted - old);
  }

  const RandomFile& shp_;
  const uint64_t end_;
  uint64_t at_ = kHeadBytes;
  uint64_t number_ = 0;
};

class IndexedShapes final : public ShpShapes {
 public:
  IndexedShapes(const RandomFile& shp, uint64_t end, const RandomFile& shx, uint64_t count)
      : shp_(shp), end_(end), shx_(shx), count_(count) {}

  std::optional<uint64_t> count() const override { return count_; }

  Result<std::optional<ShpBlock>> Next(size_t most) override {
    if (number_ == count_) return std::optional<ShpBlock>();
    RETURN_IF_ERROR(ReadEntries(most));
    ShpBlock block;
    block.first = number_;
    // As many as lie behind each other are read at once.
    size_t done = 0;
    while (done < entries_.size()) {
      size_t end = done + 1;
      while (end < entries_.size() && entries_[end].offset == entries_[end - 1].end()) ++end;
      const uint64_t begin = entries_[done].offset;
      const size_t base = block.bytes.size();
      const size_t size = entries_[end - 1].end() - begin;
      block.bytes.resize(base + size);
      RETURN_IF_ERROR(shp_.ReadAt(begin, block.bytes.data() + base, size));
      for (; done < end; ++done) {
        const size_t at = base + (entries_[done].offset - begin);
        if (uint64_t{BigAt(block.bytes.data() + at + 4)} * 2 != entries_[done].bytes) {
          return InvalidArgument("'{}' does not fit '{}': record {} is not where the index says", shx_.name(),
                                 shp_.name(), block.first + done + 1);
        }
        block.shapes.push_back({at + kRecordHeadBytes, entries_[done].bytes});
      }
    }
    number_ += entries_.size();
    return std::optional<ShpBlock>(std::move(block));
  }

 private:
  struct Entry {
    uint64_t offset, bytes;
    uint64_t end() const { return offset + kRecordHeadBytes + bytes; }
  };

  // Entries of the next block.
  Status ReadEntries(size_t most) {
    const size_t wanted = std::min<uint64_t>(most, count_ - number_);
    std::string raw(wanted * kEntryBytes, '\0');
    RETURN_IF_ERROR(shx_.ReadAt(kHeadBytes + number_ * kEntryBytes, raw.data(), raw.size()));
    entries_.clear();
    uint64_t total = 0;
    for (size_t i = 0; i < wanted && total < kShpBlockBytes; ++i) {
      const Entry entry{uint64_t{BigAt(raw.data() + i * kEntryBytes)} * 2,
                        uint64_t{BigAt(raw.data() + i * kEntryBytes + 4)} * 2};
      if (entry.bytes > kMaxRecordBytes) return TooLong(shp_, number_ + i, entry.bytes);
      if (entry.offset < kHeadBytes || entry.end() > end_) {
        return InvalidArgument("'{}' is cut off or does not fit '{}': record {} lies at byte {} of {}",
                               shp_.name(), shx_.name(), number_ + i + 1, entry.offset, end_);
      }
      total += kRecordHeadBytes + entry.bytes;
      entries_.push_back(entry);
    }
    return {};
  }

  const RandomFile& shp_;
  const uint64_t end_;
  const RandomFile& shx_;
  const uint64_t count_;
  uint64_t number_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace

Result<std::unique_ptr<ShpShapes>> ShpShapes::Open(const RandomFile& shp, const RandomFile* shx) {
  ASSIGN_OR_RETURN(const uint64_t end, CheckHead(shp));
  if (shx == nullptr) return std::make_unique<SequentialShapes>(shp, end);
  ASSIGN_OR_RETURN(const uint64_t index_end, CheckHead(*shx));
  return std::make_unique<IndexedShapes>(shp, end, *shx, (index_end - kHeadBytes) / kEntryBytes);
}

}  // namespace sluice::read

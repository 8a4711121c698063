#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "read/reader.h"

namespace sluice::read {

// Readable zero bytes behind every block, so that scanners may look ahead without asking.
inline constexpr size_t kBlockPadding = 64;
// A record longer than this is taken for a quote or bracket that is never closed.
inline constexpr size_t kMaxRecordBytes = 64 << 20;
// 64 Ki rows of some 100 bytes would be more, but two such blocks still fit the cache of a core.
inline constexpr size_t kBlockBytes = 2 << 20;

// Whole records of an input, in a buffer followed by kBlockPadding zeros.
struct TextBlock {
  std::unique_ptr<char[]> data;
  size_t size = 0;
  size_t capacity = 0;  // without the padding

  std::string_view text() const { return {data.get(), size}; }
};

// Cuts an input into blocks of whole records. Confined to one thread at a time, but for what says otherwise;
// bytes_read may be called from any.
class BlockSplitter {
 public:
  // Bytes of whole records at the front of a text that starts with a record; 0 when there is none.
  using FindEnd = std::function<size_t(std::string_view)>;

  BlockSplitter(std::unique_ptr<ByteSource> source, size_t block_bytes, FindEnd find_end,
                std::stop_token stop);

  // Nothing at the end. A UTF-8 byte order mark at the start is skipped.
  // Errors: the source's; kInvalidArgument for a record over kMaxRecordBytes; kCancelled.
  Result<std::optional<TextBlock>> Next();

  // Gives a block's buffer back for a later one: fresh memory costs as much as parsing it. Thread-safe.
  void Recycle(TextBlock block) EXCLUDES(mutex_);

  uint64_t bytes_read() const { return bytes_read_.load(std::memory_order_relaxed); }
  const ByteSource& source() const { return *source_; }

 private:
  Result<size_t> Fill(char* buffer, size_t size);
  TextBlock NewBlock(size_t capacity) EXCLUDES(mutex_);

  std::unique_ptr<ByteSource> source_;
  size_t block_bytes_;
  FindEnd find_end_;
  std::stop_token stop_;
  std::string carry_;  // the start of a record whose end was not yet read
  bool ended_ = false;
  bool first_ = true;
  std::atomic<uint64_t> bytes_read_ = 0;
  Mutex mutex_;
  std::vector<TextBlock> spare_ GUARDED_BY(mutex_);
};

// All of `source`, followed by kBlockPadding zeros, without a byte order mark.
Result<TextBlock> ReadAll(ByteSource* source, const std::stop_token& stop);

}  // namespace sluice::read

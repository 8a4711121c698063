#include "read/blocks.h"

#include <algorithm>
#include <cstring>

#include "base/cancel.h"

namespace sluice::read {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

std::unique_ptr<char[]> NewBuffer(size_t size) {
  // Not make_unique: it would clear what is about to be overwritten.
  std::unique_ptr<char[]> buffer(new char[size + kBlockPadding]);
  return buffer;
}

void Seal(TextBlock* block) { std::memset(block->data.get() + block->size, 0, kBlockPadding); }

}  // namespace

BlockSplitter::BlockSplitter(std::unique_ptr<ByteSource> source, size_t block_bytes, FindEnd find_end,
                             std::stop_token stop)
    : source_(std::move(source)),
      block_bytes_(block_bytes),
      find_end_(std::move(find_end)),
      stop_(std::move(stop)) {
  // One byte more than the file, so that its end is seen without a second block.
  if (const auto size = source_->size(); size && *size < block_bytes_)
    block_bytes_ = static_cast<size_t>(*size) + 1;
}

Result<size_t> BlockSplitter::Fill(char* buffer, size_t size) {
  size_t filled = 0;
  while (filled < size && !ended_) {
    ASSIGN_OR_RETURN(const size_t n, source_->Read(buffer + filled, size - filled));
    if (n == 0) ended_ = true;
    filled += n;
  }
  bytes_read_.fetch_add(filled, std::memory_order_relaxed);
  return filled;
}

TextBlock BlockSplitter::NewBlock(size_t capacity) {
  {
    MutexLock lock(mutex_);
    if (!spare_.empty() && spare_.back().capacity >= capacity) {
      TextBlock block = std::move(spare_.back());
      spare_.pop_back();
      return block;
    }
  }
  return TextBlock{NewBuffer(capacity), 0, capacity};
}

void BlockSplitter::Recycle(TextBlock block) {
  // One that was grown for a long record is not worth keeping.
  if (block.capacity != block_bytes_) return;
  MutexLock lock(mutex_);
  spare_.push_back(std::move(block));
}

Result<std::optional<TextBlock>> BlockSplitter::Next() {
  RETURN_IF_ERROR(CheckCancelled(stop_));
  if (ended_ && carry_.empty()) return std::optional<TextBlock>();
  size_t capacity = std::max(block_bytes_, std::min(carry_.size() * 2, kMaxRecordBytes));
  TextBlock block = NewBlock(capacity);
  capacity = block.capacity;
  block.size = carry_.size();
  std::memcpy(block.data.get(), carry_.data(), carry_.size());
  carry_.clear();
  for (;;) {
    ASSIGN_OR_RETURN(const size_t n, Fill(block.data.get() + block.size, capacity - block.size));
    block.size += n;
    if (first_ && (block.size >= kByteOrderMark.size() || ended_)) {
      first_ = false;
      if (block.text().starts_with(kByteOrderMark)) {
        block.size -= kByteOrderMark.size();
        std::memmove(block.data.get(), block.data.get() + kByteOrderMark.size(), block.size);
      }
    }
    if (ended_) {
      if (block.size == 0) return std::optional<TextBlock>();
      Seal(&block);
      return std::optional<TextBlock>(std::move(block));
    }
    if (const size_t end = first_ ? 0 : find_end_(block.text()); end != 0) {
      carry_.assign(block.data.get() + end, block.size - end);
      block.size = end;
      Seal(&block);
      return std::optional<TextBlock>(std::move(block));
    }
    if (block.size >= kMaxRecordBytes) {
      return InvalidArgument("a record of '{}' is longer than {} bytes; is a quote or bracket never closed?",
                             source_->name(), kMaxRecordBytes);
    }
    if (block.size == capacity) {
      capacity = std::min(capacity * 2, kMaxRecordBytes);
      TextBlock larger{NewBuffer(capacity), block.size, capacity};
      std::memcpy(larger.data.get(), block.data.get(), block.size);
      block = std::move(larger);
    }
  }
}

Result<TextBlock> ReadAll(ByteSource* source, const std::stop_token& stop) {
  size_t capacity = static_cast<size_t>(source->size().value_or(64 << 10)) + 1;
  TextBlock all{NewBuffer(capacity), 0, capacity};
  for (;;) {
    RETURN_IF_ERROR(CheckCancelled(stop));
    if (all.size == capacity) {
      capacity *= 2;
      TextBlock larger{NewBuffer(capacity), all.size, capacity};
      std::memcpy(larger.data.get(), all.data.get(), all.size);
      all = std::move(larger);
    }
    ASSIGN_OR_RETURN(const size_t n,
                     source->Read(all.data.get() + all.size, std::min<size_t>(capacity - all.size, 4 << 20)));
    if (n == 0) break;
    all.size += n;
  }
  if (all.text().starts_with(kByteOrderMark)) {
    all.size -= kByteOrderMark.size();
    std::memmove(all.data.get(), all.data.get() + kByteOrderMark.size(), all.size);
  }
  Seal(&all);
  return all;
}

}  // namespace sluice::read

#include "gateway/checkpoint_file.h"

#include <fcntl.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace sluice::gateway {
namespace {

constexpr char kMagic[8] = {'S', 'L', 'U', 'I', 'C', 'E', 'C', 'P'};
constexpr uint32_t kVersion = 1;
constexpr size_t kBufferBytes = 1 << 20;

struct FileHeader {
  char magic[8];
  uint32_t version = kVersion;
  uint32_t reserved = 0;
};
// Before each block. The last one is empty: a file that ends without it was not finished.
struct BlockHeader {
  uint32_t size = 0;
  uint32_t reserved = 0;
  uint64_t checksum = 0;
};
static_assert(sizeof(FileHeader) == 16 && sizeof(BlockHeader) == 16);

// The place of a block is part of it: blocks cannot be left out or change places.
uint64_t ChecksumOf(std::string_view block, uint64_t number) {
  return XXH3_64bits_withSeed(block.data(), block.size(), number);
}

class Writer final : public CheckpointWriter {
 public:
  Writer(std::string path, std::string temporary, int fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {
    FileHeader header;
    std::memcpy(header.magic, kMagic, sizeof kMagic);
    buffer_.assign(reinterpret_cast<const char*>(&header), sizeof header);
  }
  ~Writer() override {
    if (fd_ < 0) return;
    ::close(fd_);
    ::unlink(temporary_.c_str());
  }

  Status Add(std::string_view block) override {
    if (block.empty() || block.size() > kMaxCheckpointBlock)
      return Internal("a checkpoint's block of {} bytes", block.size());
    AddBlock(block);
    return buffer_.size() < kBufferBytes ? OkStatus() : Flush();
  }

  Result<uint64_t> Finish() override {
    AddBlock({});
    RETURN_IF_ERROR(Flush());
    if (::fsync(fd_) != 0) return Failed(errno);
    ::close(fd_);
    fd_ = -1;
    if (std::rename(temporary_.c_str(), path_.c_str()) != 0) {
      const int error = errno;
      ::unlink(temporary_.c_str());
      return Failed(error);
    }
    const int folder = ::open(path_.substr(0, path_.rfind('/')).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return Failed(errno);
    const int synced = ::fsync(folder);
    const int error = errno;
    ::close(folder);
    if (synced != 0) return Failed(error);
    return bytes_;
  }

 private:
  Error Failed(int error) const { return FromErrno(error, fmt::format("cannot write '{}'", path_)); }

  void AddBlock(std::string_view block) {
    BlockHeader header;
    header.size = static_cast<uint32_t>(block.size());
    header.checksum = ChecksumOf(block, number_++);
    buffer_.append(reinterpret_cast<const char*>(&header), sizeof header);
    buffer_.append(block);
  }

  Status Flush() {
    for (std::string_view left = buffer_; !left.empty();) {
      const ssize_t n = ::write(fd_, left.data(), left.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Failed(errno);
      left.remove_prefix(static_cast<size_t>(n));
    }
    bytes_ += buffer_.size();
    buffer_.clear();
    return {};
  }

  const std::string path_, temporary_;
  int fd_;
  std::string buffer_;
  uint64_t number_ = 0, bytes_ = 0;
};

class Reader final : public CheckpointReader {
 public:
  Reader(std::string path, std::FILE* file) : path_(std::move(path)), file_(file) {}
  ~Reader() override { std::fclose(file_); }

  Status ReadHeader() {
    FileHeader header;
    if (std::fread(&header, 1, sizeof header, file_) != sizeof header ||
        std::memcmp(header.magic, kMagic, sizeof kMagic) != 0 || header.version != kVersion)
      return Corruption("'{}' is no checkpoint of this version", path_);
    return {};
  }

  Result<std::optional<std::string_view>> Next() override {
    BlockHeader header;
    if (std::fread(&header, 1, sizeof header, file_) != sizeof header)
      return Corruption("'{}' ends in block {}", path_, number_);
    if (header.size > kMaxCheckpointBlock) return Corruption("'{}': block {} is damaged", path_, number_);
    block_.resize(header.size);
    if (std::fread(block_.data(), 1, block_.size(), file_) != block_.size() ||
        ChecksumOf(block_, number_) != header.checksum)
      return Corruption("'{}': block {} is damaged", path_, number_);
    ++number_;
    if (!block_.empty()) return std::optional<std::string_view>(block_);
    if (std::fgetc(file_) != EOF) return Corruption("'{}' has bytes behind its end", path_);
    return std::optional<std::string_view>();
  }

 private:
  const std::string path_;
  std::FILE* file_;
  std::string block_;
  uint64_t number_ = 0;
};

}  // namespace

Result<std::unique_ptr<CheckpointWriter>> CheckpointWriter::Create(const std::string& path) {
  std::string temporary = path + ".new";  // one that a crash left is written over
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return FromErrno(errno, fmt::format("cannot write '{}'", temporary));
  return std::unique_ptr<CheckpointWriter>(std::make_unique<Writer>(path, std::move(temporary), fd));
}

Result<std::unique_ptr<CheckpointReader>> CheckpointReader::Open(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (!file) return FromErrno(errno, fmt::format("cannot read '{}'", path));
  auto reader = std::make_unique<Reader>(path, file);
  RETURN_IF_ERROR(reader->ReadHeader());
  return std::unique_ptr<CheckpointReader>(std::move(reader));
}

}  // namespace sluice::gateway

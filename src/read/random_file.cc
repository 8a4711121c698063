#include "read/random_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sluice::read {
namespace {

Error EndsBefore(const std::string& name, uint64_t end, uint64_t size) {
  return InvalidArgument("'{}' is cut off: {} bytes are needed and it has {}", name, end, size);
}

// Read, not mapped: a file that somebody shortens meanwhile is an error and not a signal.
class DiskFile final : public RandomFile {
 public:
  DiskFile(int fd, uint64_t size, std::string name) : fd_(fd), size_(size), name_(std::move(name)) {}
  ~DiskFile() override { ::close(fd_); }
  DiskFile(const DiskFile&) = delete;
  DiskFile& operator=(const DiskFile&) = delete;

  Status ReadAt(uint64_t offset, char* buffer, size_t size) const override {
    while (size > 0) {
      const ssize_t n = ::pread(fd_, buffer, size, static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return FromErrno(errno, fmt::format("read '{}'", name_));
      if (n == 0) return EndsBefore(name_, offset + size, offset);
      buffer += n;
      offset += static_cast<uint64_t>(n);
      size -= static_cast<size_t>(n);
    }
    return {};
  }
  uint64_t size() const override { return size_; }
  const std::string& name() const override { return name_; }

 private:
  int fd_;
  uint64_t size_;
  std::string name_;
};

class MemoryFile final : public RandomFile {
 public:
  MemoryFile(std::string bytes, std::string name) : bytes_(std::move(bytes)), name_(std::move(name)) {}
  Status ReadAt(uint64_t offset, char* buffer, size_t size) const override {
    if (offset > bytes_.size() || size > bytes_.size() - offset)
      return EndsBefore(name_, offset + size, bytes_.size());
    std::memcpy(buffer, bytes_.data() + offset, size);
    return {};
  }
  uint64_t size() const override { return bytes_.size(); }
  const std::string& name() const override { return name_; }

 private:
  std::string bytes_;
  std::string name_;
};

}  // namespace

Result<std::unique_ptr<RandomFile>> OpenRandomFile(const std::string& path, std::string name) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FromErrno(errno, fmt::format("open '{}'", path));
  struct stat info{};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return InvalidArgument("'{}' is not a regular file", path);
  }
  return std::make_unique<DiskFile>(fd, static_cast<uint64_t>(info.st_size), std::move(name));
}

std::unique_ptr<RandomFile> MakeRandomMemory(std::string bytes, std::string name) {
  return std::make_unique<MemoryFile>(std::move(bytes), std::move(name));
}

}  // namespace sluice::read

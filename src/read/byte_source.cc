#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/cancel.h"
#include "read/reader.h"

namespace sluice::read {
namespace {

Result<size_t> ReadFd(int fd, const std::string& name, char* buffer, size_t size) {
  for (;;) {
    const ssize_t n = ::read(fd, buffer, size);
    if (n >= 0) return static_cast<size_t>(n);
    if (errno == EBADF) return InvalidArgument("{} is closed", name);  // only standard input can be
    if (errno != EINTR) return FromErrno(errno, fmt::format("read '{}'", name));
  }
}

// A read that waits for somebody else would not notice a stop.
Status WaitForBytes(int fd, const std::stop_token& stop) {
  constexpr int kPauseMs = 100;
  pollfd ready{fd, POLLIN, 0};
  while (::poll(&ready, 1, kPauseMs) == 0) RETURN_IF_ERROR(CheckCancelled(stop));
  return {};
}

class FileSource final : public ByteSource {
 public:
  struct File {
    int fd;
    std::string path, name;
    std::optional<uint64_t> size;  // of a regular file
    bool is_regular;
  };
  FileSource(File file, std::stop_token stop) : file_(std::move(file)), stop_(std::move(stop)) {}
  ~FileSource() override { ::close(file_.fd); }

  Result<size_t> Read(char* buffer, size_t size) override {
    if (!file_.is_regular) RETURN_IF_ERROR(WaitForBytes(file_.fd, stop_));
    return ReadFd(file_.fd, file_.name, buffer, size);
  }
  const std::string& name() const override { return file_.name; }
  std::optional<uint64_t> size() const override { return file_.size; }
  std::optional<std::string> local_path() const override {
    return file_.size ? std::optional<std::string>(file_.path) : std::nullopt;
  }

 private:
  const File file_;
  std::stop_token stop_;
};

class FdSource final : public ByteSource {
 public:
  FdSource(int fd, std::string name, std::stop_token stop)
      : fd_(fd), name_(std::move(name)), stop_(std::move(stop)) {}
  Result<size_t> Read(char* buffer, size_t size) override {
    RETURN_IF_ERROR(WaitForBytes(fd_, stop_));
    return ReadFd(fd_, name_, buffer, size);
  }
  const std::string& name() const override { return name_; }

 private:
  int fd_;
  std::string name_;
  std::stop_token stop_;
};

class MemorySource final : public ByteSource {
 public:
  MemorySource(std::shared_ptr<const std::string> bytes, std::string name)
      : bytes_(std::move(bytes)), name_(std::move(name)) {}
  Result<size_t> Read(char* buffer, size_t size) override {
    const size_t n = std::min(size, bytes_->size() - position_);
    std::memcpy(buffer, bytes_->data() + position_, n);
    position_ += n;
    return n;
  }
  const std::string& name() const override { return name_; }
  std::optional<uint64_t> size() const override { return bytes_->size(); }

 private:
  std::shared_ptr<const std::string> bytes_;
  std::string name_;
  size_t position_ = 0;
};

}  // namespace

Result<std::unique_ptr<ByteSource>> OpenFileSource(const std::string& path, std::stop_token stop,
                                                   const std::string& name) {
  const std::string& known = name.empty() ? path : name;
  // Opening a FIFO waits for its writer; that wait is left to the first read.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return FromErrno(errno, fmt::format("open '{}'", known));
  struct stat info{};
  if (::fstat(fd, &info) != 0) {
    const int error = errno;
    ::close(fd);
    return FromErrno(error, fmt::format("stat '{}'", known));
  }
  if (const int flags = ::fcntl(fd, F_GETFL); flags >= 0) ::fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
  if (S_ISDIR(info.st_mode)) {
    ::close(fd);
    return InvalidArgument("'{}' is a folder, not a file", known);
  }
  std::optional<uint64_t> size;
  // Files of /proc are regular, claim no bytes and have some.
  if (S_ISREG(info.st_mode) && info.st_size > 0) {
    size = static_cast<uint64_t>(info.st_size);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  }
  return std::make_unique<FileSource>(FileSource::File{fd, path, known, size, S_ISREG(info.st_mode)},
                                      std::move(stop));
}

std::unique_ptr<ByteSource> MakeFdSource(int fd, std::string name, std::stop_token stop) {
  return std::make_unique<FdSource>(fd, std::move(name), std::move(stop));
}

std::unique_ptr<ByteSource> MakeMemorySource(std::string bytes, std::string name) {
  return MakeSharedSource(std::make_shared<const std::string>(std::move(bytes)), std::move(name));
}

std::unique_ptr<ByteSource> MakeSharedSource(std::shared_ptr<const std::string> bytes, std::string name) {
  return std::make_unique<MemorySource>(std::move(bytes), std::move(name));
}

}  // namespace sluice::read

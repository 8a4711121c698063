#include "base/whole_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

namespace sluice {
namespace {

struct Closer {
  int fd;
  ~Closer() { ::close(fd); }
};

Error CannotRead(const std::string& path, int code) {
  if (code == EISDIR) return InvalidArgument("cannot read '{}': it is a folder", path);
  return FromErrno(code, fmt::format("cannot read '{}'", path));
}

}  // namespace

Result<std::string> ReadWholeFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return CannotRead(path, errno);
  const Closer closer{fd};
  std::string bytes;
  std::array<char, 1 << 16> buffer;
  while (true) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n == 0) return bytes;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return CannotRead(path, errno);
    bytes.append(buffer.data(), static_cast<size_t>(n));
  }
}

}  // namespace sluice

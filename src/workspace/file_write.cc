#include "workspace/file_write.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/random.h"

namespace sluice::workspace {

Status WriteFileDurably(const std::string& path, std::string_view text, unsigned mode) {
  const std::string temporary = path + "." + RandomName(8);
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return FromErrno(errno, "cannot make '" + temporary + "'");
  int error = 0;
  for (std::string_view left = text; !left.empty() && error == 0;) {
    const ssize_t n = ::write(fd, left.data(), left.size());
    if (n > 0) left.remove_prefix(static_cast<size_t>(n));
    if (n < 0 && errno != EINTR) error = errno;
  }
  if (error == 0 && ::fsync(fd) != 0) error = errno;
  ::close(fd);
  if (error == 0 && std::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) {
    ::unlink(temporary.c_str());
    return FromErrno(error, "cannot write '" + path + "'");
  }
  const int folder = ::open(path.substr(0, path.rfind('/')).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return FromErrno(errno, "cannot open the folder of '" + path + "'");
  const int synced = ::fsync(folder);
  error = errno;
  ::close(folder);
  if (synced != 0) return FromErrno(error, "cannot sync the folder of '" + path + "'");
  return {};
}

}  // namespace sluice::workspace

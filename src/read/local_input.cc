#include "read/local_input.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

#include "base/cancel.h"
#include "read/reader.h"

namespace sluice::read {

Result<std::unique_ptr<SpillFile>> SpillFile::Make(const std::string& folder) {
  std::string path = (folder.empty() ? std::string("/tmp") : folder) + "/input-XXXXXX";
  const int fd = ::mkostemp(path.data(), O_CLOEXEC);
  if (fd < 0) return FromErrno(errno, fmt::format("create '{}'", path));
  return std::unique_ptr<SpillFile>(new SpillFile(fd, std::move(path)));
}

SpillFile::~SpillFile() {
  ::close(fd_);
  ::unlink(path_.c_str());
}

Status SpillFile::Write(const char* data, size_t size) {
  while (size > 0) {
    const ssize_t n = ::write(fd_, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FromErrno(errno, fmt::format("write '{}'", path_));
    data += n;
    size -= static_cast<size_t>(n);
  }
  return {};
}

Result<LocalInput> MakeLocal(ByteSource* source, const std::string& spill_folder,
                             const std::stop_token& stop) {
  LocalInput input;
  if (const auto path = source->local_path()) {
    input.path = *path;
    input.bytes = source->size().value_or(0);
    return input;
  }
  ASSIGN_OR_RETURN(input.spill, SpillFile::Make(spill_folder));
  std::vector<char> buffer(1 << 20);
  for (;;) {
    RETURN_IF_ERROR(CheckCancelled(stop));
    ASSIGN_OR_RETURN(const size_t n, source->Read(buffer.data(), buffer.size()));
    if (n == 0) break;
    RETURN_IF_ERROR(input.spill->Write(buffer.data(), n));
    input.bytes += n;
  }
  input.path = input.spill->path();
  return input;
}

}  // namespace sluice::read

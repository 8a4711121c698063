#include "fetch/file_stamp.h"

#include <sys/stat.h>

#include <cerrno>

namespace sluice::fetch {

Result<FileStamp> StampOf(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return NotFound("there is no file '{}'", path);
    return FromErrno(errno, "cannot look at '" + path + "'");
  }
  if (!S_ISREG(info.st_mode)) return InvalidArgument("'{}' is not a regular file", path);
  return FileStamp{static_cast<uint64_t>(info.st_dev), static_cast<uint64_t>(info.st_ino),
                   static_cast<uint64_t>(info.st_size),
                   Instant{info.st_mtim.tv_sec, static_cast<uint32_t>(info.st_mtim.tv_nsec)}};
}

Status CheckStamp(const std::string& path, const FileStamp& before) {
  ASSIGN_OR_RETURN(const auto now, StampOf(path));
  if (now == before) return {};
  return MakeError(ErrorCode::kConflict,
                   "'{}' changed while it was read; nothing of it was taken: pull again", path);
}

std::string Describe(const FileStamp& stamp) {
  return fmt::format("{}:{}:{}:{}", stamp.device, stamp.inode, stamp.bytes, FormatInstant(stamp.changed));
}

Result<std::optional<std::string>> IdentityOf(const std::string& path, const FileStamp& before) {
  RETURN_IF_ERROR(CheckStamp(path, before));
  return std::optional(path + ":" + Describe(before));
}

}  // namespace sluice::fetch

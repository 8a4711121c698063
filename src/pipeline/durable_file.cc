#include "pipeline/durable_file.h"

#include <fcntl.h>

#include "storage/disk.h"

namespace sluice::pipeline {

Status WriteFileDurably(const std::string& path, std::string_view text) {
  auto& disk = storage::Disk::Real();
  const std::string fresh = path + ".new";
  {
    ASSIGN_OR_RETURN(auto file, storage::File::Open(disk, fresh, O_WRONLY | O_CREAT | O_TRUNC));
    RETURN_IF_ERROR(file->WriteAll(text, 0));
    RETURN_IF_ERROR(file->Sync());
  }
  if (const int code = disk.Rename(fresh, path); code < 0)
    return FromErrno(-code, fmt::format("cannot rename '{}' to '{}'", fresh, path));
  return storage::SyncFolder(disk, storage::ParentPath(path));
}

Result<std::optional<std::string>> ReadFileIfThere(const std::string& path) {
  auto file = storage::File::Open(storage::Disk::Real(), path, O_RDONLY);
  if (!file.ok()) {
    if (file.error().code() == ErrorCode::kNotFound) return std::optional<std::string>();
    return std::move(file).error();
  }
  ASSIGN_OR_RETURN(const uint64_t size, (*file)->Size());
  ASSIGN_OR_RETURN(std::string text, (*file)->ReadSome(0, size));
  return std::optional<std::string>(std::move(text));
}

}  // namespace sluice::pipeline

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/instant.h"
#include "base/result.h"

namespace sluice::fetch {

// What a file looked like: tells whether it was changed or replaced since.
struct FileStamp {
  uint64_t device = 0, inode = 0, bytes = 0;
  Instant changed;

  bool operator==(const FileStamp&) const = default;
};

// Errors: kNotFound; kInvalidArgument for what is no regular file.
Result<FileStamp> StampOf(const std::string& path);
// Errors: kConflict when the file is not what it was.
Status CheckStamp(const std::string& path, const FileStamp& before);

// As FetchedInput::identity tells it, of the file that still is what it was.
Result<std::optional<std::string>> IdentityOf(const std::string& path, const FileStamp& before);
// The stamp as text.
std::string Describe(const FileStamp& stamp);

}  // namespace sluice::fetch

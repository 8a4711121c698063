#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>

#include "base/result.h"

namespace sluice::read {

class ByteSource;

// A file on disk that goes away with its owner. Confined to one thread while it is written.
class SpillFile {
 public:
  // In `folder`, empty = the system's. Errors: what the system says.
  static Result<std::unique_ptr<SpillFile>> Make(const std::string& folder);
  ~SpillFile();
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;

  Status Write(const char* data, size_t size);
  const std::string& path() const { return path_; }

 private:
  SpillFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  int fd_;
  std::string path_;
};

// An input as a file that can be read anywhere.
struct LocalInput {
  std::string path;
  uint64_t bytes = 0;
  std::unique_ptr<SpillFile> spill;  // null when the input was a file
};

// The input itself when it is a file, else all of it copied to one in `spill_folder`.
Result<LocalInput> MakeLocal(ByteSource* source, const std::string& spill_folder,
                             const std::stop_token& stop);

}  // namespace sluice::read

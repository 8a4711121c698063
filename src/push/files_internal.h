#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "push/position.h"

namespace sluice::push {

// An open input. Confined.
class InputFile {
 public:
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  // `-` is standard input, which is not closed. Errors: kNotFound, kPermissionDenied, kInvalidArgument for a
  // folder.
  static Result<std::unique_ptr<InputFile>> Open(const std::string& path);

  const std::string& path() const { return path_; }
  int fd() const { return fd_; }
  bool is_pipe() const { return is_pipe_; }
  const std::string& identity() const { return identity_; }  // device and inode

  // Fewer only at the present end.
  Result<std::string> ReadAt(uint64_t offset, size_t size) const;
  Result<uint64_t> Size() const;
  // Whether nobody has it open for writing, as far as the system tells.
  bool IsClosed() const;
  // When its content or its name changed last.
  Result<int64_t> ChangedNs() const;
  // Whether it holds what `position` describes.
  Result<bool> Holds(const Position& position) const;

 private:
  InputFile(std::string path, int fd, bool is_pipe, std::string identity)
      : path_(std::move(path)), fd_(fd), is_pipe_(is_pipe), identity_(std::move(identity)) {}
  const std::string path_;
  const int fd_;
  const bool is_pipe_;
  const std::string identity_;
};

std::string BaseName(const std::string& path);

// What is behind `path` now: device and inode, and when anything of it changed last, its name too; which
// nobody can set. Nothing when there is no file.
struct FileNow {
  std::string identity;
  int64_t changed_ns = 0;
};
std::optional<FileNow> LookAt(const std::string& path);
// When the file was made, which no later touch or write changes; where the file system does not say, when it
// was written last.
std::optional<int64_t> MadeNs(const std::string& path);

// Names that `path` was given when it was rotated: `path.1`, `path-20261130`, not compressed; in the order in
// which the files were made.
std::vector<std::string> RotatedNames(const std::string& path);
// Whether the file is a backup of `of`, a rotated file, and none that came after it: it holds nothing but the
// beginning of `of`, and was made before that was rotated: at `renamed_ns`, or, where that is not known, not
// while it was still written. A file may hold by chance what one before it held: what is not sure is no copy.
Result<bool> IsOlderCopy(const std::string& name, const InputFile& of, std::optional<int64_t> renamed_ns);
// Whether it is a backup of another of those names, as its own name and all of its content say: `log.1.bak`,
// `log.1~`.
Result<bool> IsNamedCopy(const std::string& name, const std::vector<std::string>& names);

// Errors: kInvalidArgument when an input begins like a gzip or zstd file, saying how to push its text.
Status CheckNotCompressed(std::string_view beginning, const std::string& path);

}  // namespace sluice::push

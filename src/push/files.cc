#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "push/files_internal.h"
#include "storage/disk.h"

namespace sluice::push {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
int64_t Nanoseconds(const timespec& time) { return time.tv_sec * kSecond + time.tv_nsec; }
int64_t Nanoseconds(const statx_timestamp& time) { return time.tv_sec * kSecond + time.tv_nsec; }

std::string IdentityOf(const struct stat& info) { return fmt::format("{}-{}", info.st_dev, info.st_ino); }

bool IsCompressed(std::string_view name) {
  return std::ranges::any_of(std::initializer_list<std::string_view>{".gz", ".xz", ".bz2", ".zst", ".zip"},
                             [&](std::string_view end) { return name.ends_with(end); });
}

}  // namespace

InputFile::~InputFile() {
  if (fd_ != STDIN_FILENO) ::close(fd_);
}

Result<std::unique_ptr<InputFile>> InputFile::Open(const std::string& path) {
  const bool is_stdin = path == "-";
  const int fd = is_stdin ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FromErrno(errno, fmt::format("cannot read '{}'", path));
  struct stat info{};
  if (::fstat(fd, &info) < 0) {
    const int error = errno;
    if (!is_stdin) ::close(fd);
    return FromErrno(error, fmt::format("cannot read '{}'", path));
  }
  if (S_ISDIR(info.st_mode)) {
    if (!is_stdin) ::close(fd);
    return InvalidArgument("'{}' is a folder", path);
  }
  const bool is_pipe = !S_ISREG(info.st_mode);
  return std::unique_ptr<InputFile>(new InputFile(is_stdin ? "standard input" : path, fd, is_pipe,
                                                  is_pipe ? std::string() : IdentityOf(info)));
}

Result<std::string> InputFile::ReadAt(uint64_t offset, size_t size) const {
  std::string bytes(size, '\0');
  size_t got = 0;
  while (got < size) {
    const ssize_t n = is_pipe_
                          ? ::read(fd_, bytes.data(), size)
                          : ::pread(fd_, bytes.data() + got, size - got, static_cast<off_t>(offset + got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EBADF) return InvalidArgument("{} is closed", path_);  // standard input
    if (n < 0) return FromErrno(errno, fmt::format("cannot read '{}'", path_));
    got += static_cast<size_t>(n);
    if (n == 0 || is_pipe_) break;
  }
  bytes.resize(got);
  return bytes;
}

Result<uint64_t> InputFile::Size() const {
  struct stat info{};
  if (::fstat(fd_, &info) < 0) return FromErrno(errno, fmt::format("cannot read '{}'", path_));
  return static_cast<uint64_t>(info.st_size);
}

bool InputFile::IsClosed() const { return storage::IsWrittenByNobody(fd_); }

Result<int64_t> InputFile::ChangedNs() const {
  struct stat info{};
  if (::fstat(fd_, &info) < 0) return FromErrno(errno, fmt::format("cannot read '{}'", path_));
  return Nanoseconds(info.st_ctim);
}

Result<bool> InputFile::Holds(const Position& position) const {
  ASSIGN_OR_RETURN(const uint64_t size, Size());
  if (size < position.offset) return false;
  ASSIGN_OR_RETURN(const std::string head, ReadAt(0, position.head_bytes));
  if (WindowDigest(head) != position.head) return false;
  const uint64_t tail_bytes = std::min(position.offset, kWindowBytes);
  ASSIGN_OR_RETURN(const std::string tail, ReadAt(position.offset - tail_bytes, tail_bytes));
  return WindowDigest(tail) == position.tail;
}

std::string BaseName(const std::string& path) { return std::filesystem::path(path).filename().string(); }

std::optional<FileNow> LookAt(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) < 0) return std::nullopt;
  return FileNow{IdentityOf(info), Nanoseconds(info.st_ctim)};
}

std::optional<int64_t> MadeNs(const std::string& path) {
  struct statx info{};
  if (::statx(AT_FDCWD, path.c_str(), 0, STATX_BTIME | STATX_MTIME, &info) != 0) return std::nullopt;
  return Nanoseconds((info.stx_mask & STATX_BTIME) != 0 ? info.stx_btime : info.stx_mtime);
}

std::vector<std::string> RotatedNames(const std::string& path) {
  namespace fs = std::filesystem;
  const std::string base = BaseName(path);
  fs::path folder = fs::path(path).parent_path();
  if (folder.empty()) folder = ".";
  std::vector<std::pair<int64_t, std::string>> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.size() < base.size() + 2 || !name.starts_with(base) || IsCompressed(name)) continue;
    const char separator = name[base.size()], first = name[base.size() + 1];
    if ((separator != '.' && separator != '-') || first < '0' || first > '9') continue;
    std::error_code gone;
    if (!it->is_regular_file(gone)) continue;
    if (const auto made = MadeNs(it->path().string())) found.emplace_back(*made, it->path().string());
  }
  // Made at the same moment: `.2` is older than `.1`.
  std::ranges::sort(found, [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.second > b.second;
  });
  std::vector<std::string> names;
  for (auto& [made, name] : found) names.push_back(std::move(name));
  return names;
}

namespace {

Result<bool> IsBeginningOf(const InputFile& copy, const InputFile& of) {
  constexpr size_t kPiece = 256 << 10;
  for (uint64_t at = 0;; at += kPiece) {
    ASSIGN_OR_RETURN(const std::string piece, copy.ReadAt(at, kPiece));
    ASSIGN_OR_RETURN(const std::string original, of.ReadAt(at, piece.size()));
    if (piece != original) return false;
    if (piece.size() < kPiece) return true;
  }
}

bool IsCopyEnding(std::string_view ending) {
  return ending == "~" || (ending.size() > 1 && std::string_view(".-_").find(ending[0]) != ending.npos &&
                           ending.find_first_of("0123456789") == ending.npos);
}

}  // namespace

Result<bool> IsOlderCopy(const std::string& name, const InputFile& of, std::optional<int64_t> renamed_ns) {
  const auto made = MadeNs(name);
  struct stat info{};
  if (!made || ::fstat(of.fd(), &info) != 0) return false;
  // A rename, and a copy just before it, may have the same time: clocks tick.
  if (renamed_ns ? *renamed_ns < *made : Nanoseconds(info.st_mtim) <= *made) return false;
  const auto copy = InputFile::Open(name);
  if (!copy.ok()) return false;  // gone again
  return IsBeginningOf(**copy, of);
}

Result<bool> IsNamedCopy(const std::string& name, const std::vector<std::string>& names) {
  for (const std::string& other : names) {
    if (name.size() <= other.size() || !name.starts_with(other) || !IsCopyEnding(name.substr(other.size())))
      continue;
    const auto copy = InputFile::Open(name);
    const auto original = InputFile::Open(other);
    if (!copy.ok() || !original.ok()) continue;
    ASSIGN_OR_RETURN(const uint64_t bytes, (*copy)->Size());
    ASSIGN_OR_RETURN(const uint64_t original_bytes, (*original)->Size());
    if (bytes != original_bytes) continue;
    ASSIGN_OR_RETURN(const bool is_same, IsBeginningOf(**copy, **original));
    if (is_same) return true;
  }
  return false;
}

Status CheckNotCompressed(std::string_view beginning, const std::string& path) {
  const bool is_gzip = beginning.starts_with("\x1f\x8b");
  if (!is_gzip && !beginning.starts_with("\x28\xb5\x2f\xfd")) return {};
  return InvalidArgument("'{}' is compressed with {}; push its text: {} FILE | sluice push DATASET", path,
                         is_gzip ? "gzip" : "zstd", is_gzip ? "zcat" : "zstdcat");
}

}  // namespace sluice::push

#include "storage/disk.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

namespace sluice::storage {
namespace {

template <class T>
T OrErrno(T outcome) {
  return outcome < 0 ? static_cast<T>(-errno) : outcome;
}

// Repeats a call that a signal interrupted. A stuck fake is not worth an endless loop: a thousand signals in
// a row are an error.
template <class Call>
auto Uninterrupted(Call call) {
  auto outcome = call();
  for (int i = 0; i < 1000 && outcome == -EINTR; ++i) outcome = call();
  return outcome;
}

}  // namespace

Disk& Disk::Real() {
  static Disk disk;
  return disk;
}

int Disk::Open(const std::string& path, int flags, mode_t mode) {
  return OrErrno(::open(path.c_str(), flags | O_CLOEXEC, mode));
}

void Disk::Close(int fd) { ::close(fd); }

int64_t Disk::Read(int fd, void* data, size_t size, uint64_t offset) {
  return OrErrno<int64_t>(::pread(fd, data, size, static_cast<off_t>(offset)));
}

int64_t Disk::Write(int fd, const void* data, size_t size, uint64_t offset) {
  return OrErrno<int64_t>(::pwrite(fd, data, size, static_cast<off_t>(offset)));
}

int64_t Disk::SizeOf(int fd) {
  struct stat info{};
  return ::fstat(fd, &info) < 0 ? -errno : static_cast<int64_t>(info.st_size);
}

int Disk::Sync(int fd) { return OrErrno(::fsync(fd)); }

int Disk::SyncData(int fd) { return OrErrno(::fdatasync(fd)); }

int Disk::SyncFileSystem(int fd) { return OrErrno(::syncfs(fd)); }

int Disk::StartWriteback(int fd, uint64_t offset, uint64_t size) {
  return OrErrno(
      ::sync_file_range(fd, static_cast<off_t>(offset), static_cast<off_t>(size), SYNC_FILE_RANGE_WRITE));
}

int Disk::Allocate(int fd, uint64_t size) {
  const int outcome = OrErrno(::fallocate(fd, 0, 0, static_cast<off_t>(size)));
  if (outcome != -EOPNOTSUPP && outcome != -ENOSYS) return outcome;
  return -::posix_fallocate(fd, 0, static_cast<off_t>(size));  // writes zeros
}

int Disk::Truncate(int fd, uint64_t size) { return OrErrno(::ftruncate(fd, static_cast<off_t>(size))); }

int Disk::Rename(const std::string& from, const std::string& to) {
  return OrErrno(::rename(from.c_str(), to.c_str()));
}

int Disk::RenameNoReplace(const std::string& from, const std::string& to) {
  const int outcome = OrErrno(::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE));
  if (outcome != -EINVAL && outcome != -ENOSYS) return outcome;
  // File systems without the flag: a hard link refuses an existing name just as well.
  if (::link(from.c_str(), to.c_str()) < 0) return -errno;
  return OrErrno(::unlink(from.c_str()));
}

int Disk::Exchange(const std::string& one, const std::string& other) {
  return OrErrno(::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE));
}

int Disk::Remove(const std::string& path) { return OrErrno(::unlink(path.c_str())); }

int Disk::MakeFolder(const std::string& path) { return OrErrno(::mkdir(path.c_str(), 0777)); }

namespace {

int TryLockAs(int fd, int16_t type) {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  while (::fcntl(fd, F_OFD_SETLK, &lock) < 0) {
    if (errno == EINTR) continue;
    return errno == EACCES ? -EAGAIN : -errno;
  }
  return 0;
}

}  // namespace

int TryLock(int fd) { return TryLockAs(fd, F_WRLCK); }
int TryShareLock(int fd) { return TryLockAs(fd, F_RDLCK); }

namespace {

// Who opens the file meanwhile waits until the lease is given back, and the signal that tells of that must be
// a harmless one.
bool IsLeased(int fd, int type) {
  if (::fcntl(fd, F_SETSIG, SIGURG) < 0 || ::fcntl(fd, F_SETLEASE, type) < 0) return false;
  return ::fcntl(fd, F_SETLEASE, F_UNLCK) == 0;
}

}  // namespace

// The kernel gives a lease to write of a file that only its asker has open, one to read of a file that nobody
// has open for writing.
bool IsOpenHereOnly(int fd) { return IsLeased(fd, F_WRLCK); }
bool IsWrittenByNobody(int fd) { return IsLeased(fd, F_RDLCK); }

Result<std::unique_ptr<File>> File::Open(Disk& disk, const std::string& path, int flags, mode_t mode) {
  const int fd = Uninterrupted([&] { return disk.Open(path, flags, mode); });
  if (fd < 0) return FromErrno(-fd, fmt::format("cannot open '{}'", path));
  return std::unique_ptr<File>(new File(disk, path, fd));
}

File::~File() { disk_.Close(fd_); }

Result<uint64_t> File::Size() const {
  const int64_t size = disk_.SizeOf(fd_);
  if (size < 0) return FromErrno(static_cast<int>(-size), fmt::format("cannot stat '{}'", path_));
  return static_cast<uint64_t>(size);
}

Result<std::string> File::ReadSome(uint64_t offset, uint64_t size) const {
  ASSIGN_OR_RETURN(const uint64_t total, Size());
  if (offset >= total) return std::string();
  std::string bytes(std::min(size, total - offset), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const int64_t n = Uninterrupted(
        [&] { return disk_.Read(fd_, bytes.data() + done, bytes.size() - done, offset + done); });
    if (n < 0) return FromErrno(static_cast<int>(-n), fmt::format("cannot read '{}'", path_));
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  bytes.resize(done);
  return bytes;
}

Status File::WriteAll(std::string_view bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const int64_t n = Uninterrupted([&] { return disk_.Write(fd_, bytes.data(), bytes.size(), offset); });
    if (n < 0) return FromErrno(static_cast<int>(-n), fmt::format("cannot write '{}'", path_));
    if (n == 0)
      return MakeError(ErrorCode::kUnavailable, "cannot write '{}': the disk takes no more bytes", path_);
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

Status File::Allocate(uint64_t size) {
  const int outcome = Uninterrupted([&] { return disk_.Allocate(fd_, size); });
  if (outcome < 0) return FromErrno(-outcome, fmt::format("cannot reserve {} bytes for '{}'", size, path_));
  return {};
}

Status File::Truncate(uint64_t size) {
  const int outcome = Uninterrupted([&] { return disk_.Truncate(fd_, size); });
  if (outcome < 0) return FromErrno(-outcome, fmt::format("cannot cut '{}' to {} bytes", path_, size));
  return {};
}

Status File::FinishSync(int outcome, std::string_view call) {
  if (outcome >= 0) return {};
  sync_failed_ = true;
  return FromErrno(-outcome, fmt::format("cannot make '{}' durable: {}", path_, call));
}

Status File::Sync() {
  if (sync_failed_) return FinishSync(-EIO, "fsync failed before");
  return FinishSync(disk_.Sync(fd_), "fsync");
}

Status File::SyncData() {
  if (sync_failed_) return FinishSync(-EIO, "fdatasync failed before");
  return FinishSync(disk_.SyncData(fd_), "fdatasync");
}

Status File::SyncFileSystem() {
  if (sync_failed_) return FinishSync(-EIO, "syncfs failed before");
  return FinishSync(disk_.SyncFileSystem(fd_), "syncfs");
}

void File::StartWriteback(uint64_t offset, uint64_t size) {
  // Advice only: what went wrong shows at Sync.
  (void)disk_.StartWriteback(fd_, offset, size);
}

Status SyncFolder(Disk& disk, const std::string& path) {
  ASSIGN_OR_RETURN(auto folder, File::Open(disk, path, O_RDONLY | O_DIRECTORY));
  return folder->Sync();
}

std::string ParentPath(const std::string& path) {
  size_t end = path.size();
  while (end > 1 && path[end - 1] == '/') --end;
  const size_t slash = path.rfind('/', end - 1);
  if (slash == std::string::npos) return ".";
  size_t parent = slash;
  while (parent > 1 && path[parent - 1] == '/') --parent;
  return parent == 0 ? "/" : path.substr(0, parent);
}

Status MakeFolders(Disk& disk, const std::string& path) {
  int outcome = disk.MakeFolder(path);
  const std::string parent = ParentPath(path);
  if (outcome == -ENOENT && parent != path) {
    RETURN_IF_ERROR(MakeFolders(disk, parent));
    outcome = disk.MakeFolder(path);
  }
  if (outcome == -EEXIST) {
    // Also says so for a file of that name.
    struct stat info{};
    if (::stat(path.c_str(), &info) == 0 && !S_ISDIR(info.st_mode)) {
      return InvalidArgument("'{}' is not a folder", path);
    }
    return {};
  }
  if (outcome < 0) return FromErrno(-outcome, fmt::format("cannot make folder '{}'", path));
  return SyncFolder(disk, parent);
}

}  // namespace sluice::storage

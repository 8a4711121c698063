#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::storage {

// The system calls that durable writing is made of, so that a test can record, cut short or fail each of
// them. Answers as the kernel does: a value >= 0, or minus errno. Nothing is retried here. Thread-safe.
class Disk {
 public:
  virtual ~Disk() = default;
  // The machine's own.
  static Disk& Real();

  virtual int Open(const std::string& path, int flags, mode_t mode);
  virtual void Close(int fd);
  virtual int64_t Read(int fd, void* data, size_t size, uint64_t offset);
  virtual int64_t Write(int fd, const void* data, size_t size, uint64_t offset);
  virtual int64_t SizeOf(int fd);
  virtual int Sync(int fd);
  virtual int SyncData(int fd);
  // The whole file system that `fd` is on.
  virtual int SyncFileSystem(int fd);
  // Tells the kernel to begin writing a range; waits for nothing and promises nothing.
  virtual int StartWriteback(int fd, uint64_t offset, uint64_t size);
  // Reserves space and grows the file to it.
  virtual int Allocate(int fd, uint64_t size);
  virtual int Truncate(int fd, uint64_t size);
  virtual int Rename(const std::string& from, const std::string& to);
  // -EEXIST when `to` is there already; never replaces it.
  virtual int RenameNoReplace(const std::string& from, const std::string& to);
  // Both exist, and each gets the other's name. -EINVAL where the file system cannot.
  virtual int Exchange(const std::string& one, const std::string& other);
  virtual int Remove(const std::string& path);
  virtual int MakeFolder(const std::string& path);
};

// An open file. Closes at the end of its life. Interrupted calls are repeated, short writes continued.
// Thread-compatible; WriteAll, ReadSome and SyncData of different ranges may run at the same time.
class File {
 public:
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // O_CLOEXEC is added. Errors: as FromErrno, naming the path. The disk must outlive the file.
  static Result<std::unique_ptr<File>> Open(Disk& disk, const std::string& path, int flags,
                                            mode_t mode = 0644);

  const std::string& path() const { return path_; }
  int fd() const { return fd_; }

  Result<uint64_t> Size() const;
  // Fewer bytes than `size` only at the end of the file.
  Result<std::string> ReadSome(uint64_t offset, uint64_t size) const;
  Status WriteAll(std::string_view bytes, uint64_t offset);
  Status Allocate(uint64_t size);
  Status Truncate(uint64_t size);
  // A failure is final: the kernel may have dropped the pages, so a second call would prove nothing. Every
  // later call fails.
  Status Sync();
  Status SyncData();
  Status SyncFileSystem();
  void StartWriteback(uint64_t offset, uint64_t size);

 private:
  File(Disk& disk, std::string path, int fd) : disk_(disk), path_(std::move(path)), fd_(fd) {}
  Status FinishSync(int outcome, std::string_view call);

  Disk& disk_;
  const std::string path_;
  const int fd_;
  bool sync_failed_ = false;
};

// Takes the kernel lock of an open file, held until the file is closed. 0, -EAGAIN when somebody has it, else
// minus errno.
int TryLock(int fd);
// The same, shared with others who do not want it alone.
int TryShareLock(int fd);
// Whether nobody else has the file open, in this process or another; `fd` is open for writing. False also
// where the file system cannot tell.
bool IsOpenHereOnly(int fd);
// Whether nobody has the file open for writing; `fd` is open for reading. False as above.
bool IsWrittenByNobody(int fd);
// Makes the names in a folder durable.
Status SyncFolder(Disk& disk, const std::string& path);
// Makes the folder and its missing parents, each durable in its parent.
Status MakeFolders(Disk& disk, const std::string& path);
// The folder that holds `path`: `/a` of `/a/b`, `.` of `b`.
std::string ParentPath(const std::string& path);

}  // namespace sluice::storage

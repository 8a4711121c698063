#include "storage/local_storage.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "base/mutex.h"
#include "storage/name.h"

// Durability on a local disk. A name appears only after its content was synced, and a call returns only after
// the folder was. Two things the kernel does not promise are dealt with here: a failed fsync may have thrown
// the pages away, so that file is never trusted again and the next write under its name is made from new
// bytes; and a folder that another program made may not be in its parent yet, so each folder's way up to the
// root is synced once per process.
namespace sluice::storage {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBufferBytes = 1 << 20;
// Writeback starts each time so much was written, so that the final fsync finds little to do.
constexpr uint64_t kWritebackBytes = 8 << 20;
constexpr size_t kSyncThreads = 8;

// A temporary file of known path; removed unless it was published.
struct Pending {
  Pending(Disk& disk, std::unique_ptr<File> file) : disk(disk), file(std::move(file)) {}
  ~Pending() {
    if (!published) (void)disk.Remove(file->path());
  }
  Disk& disk;
  std::unique_ptr<File> file;
  bool published = false;
};

class LocalStorage final : public Storage {
 public:
  LocalStorage(Disk& disk, std::string root) : disk_(disk), root_(std::move(root)) {}
  ~LocalStorage() override {
    for (const auto& [name, path] : spares_) {
      if (!path.empty()) (void)disk_.Remove(path);
    }
  }

  Result<std::string> Get(const std::string& name) const override { return GetRange(name, 0, UINT64_MAX); }

  Result<std::string> GetRange(const std::string& name, uint64_t offset, uint64_t size) const override {
    ASSIGN_OR_RETURN(auto file, OpenNamed(name));
    return file->ReadSome(offset, size);
  }

  Result<uint64_t> Size(const std::string& name) const override {
    RETURN_IF_ERROR(CheckName(name));
    struct stat info{};
    if (::stat(PathOf(name).c_str(), &info) < 0) return StatError(errno, name);
    if (!S_ISREG(info.st_mode)) return NotFound("'{}' is not a file", PathOf(name));
    return static_cast<uint64_t>(info.st_size);
  }

  Result<bool> Exists(const std::string& name) const override {
    auto size = Size(name);
    if (size.ok()) return true;
    if (size.error().code() == ErrorCode::kNotFound) return false;
    return size.error();
  }

  Result<std::vector<std::string>> List(const std::string& prefix) const override;
  std::optional<std::string> LocalPath(const std::string& name) const override {
    return CheckName(name).ok() ? std::optional(PathOf(name)) : std::nullopt;
  }

  Status PutIfAbsent(const std::string& name, std::string_view bytes) override;
  Status PutAllIfAbsent(const std::vector<std::pair<std::string, std::string>>& objects) override;
  Status CommitAll(const std::vector<std::pair<StagedFile*, std::string>>& staged,
                   const std::vector<std::pair<std::string, std::string>>& objects) override;
  Status Replace(const std::string& name, std::string_view bytes) override;
  Status ReplaceUnsynced(const std::string& name, std::string_view bytes) override;
  Status CompareAndSwap(const std::string& name, const std::optional<std::string>& expected,
                        std::string_view bytes) override;
  Result<std::unique_ptr<StagedFile>> Stage(const std::string& folder) override;
  Status Sync(const std::vector<std::string>& names) override;
  Status SyncAll() override;
  Status Delete(const std::string& name) override;
  Result<int> RemoveLeftovers(int age_seconds) override;

  // Makes an empty temporary file in `folder`, which is made durable first.
  Result<std::unique_ptr<Pending>> NewPending(const std::string& folder);
  // Gives the synced file its name unless that is taken; what is there already is made durable instead.
  // The folder is left to the caller to sync.
  Status Publish(Pending& pending, const std::string& name);
  Status SyncFolderOf(const std::string& name);
  // `outcome` as it is; a failure is remembered against `name`.
  Status Remember(const std::string& name, Status outcome);

 private:
  std::string PathOf(std::string_view name) const {
    return name.empty() ? root_ : fmt::format("{}/{}", root_, name);
  }
  Error StatError(int error, const std::string& name) const {
    if (error == ENOTDIR) error = ENOENT;
    return FromErrno(error, fmt::format("cannot read '{}'", PathOf(name)));
  }
  Result<std::unique_ptr<File>> OpenNamed(const std::string& name) const;
  Result<std::unique_ptr<Pending>> WritePending(const std::string& name, std::string_view bytes);
  // The same for a name that is swapped again and again, in the file that the last swap took out of use if
  // nobody reads it any more: spares the file system making and dropping a file each time.
  Result<std::unique_ptr<Pending>> WriteSpare(const std::string& name, std::string_view bytes);
  // The spare file of `name`; null when there is none that may be used.
  std::unique_ptr<Pending> TakeSpare(const std::string& name);
  // Gives the file its name, and makes what had it the spare if there is to be one. As the kernel answers.
  int Swap(const Pending& pending, const std::string& name);
  // Gives the file its name, whatever that was before.
  Status RenameOver(Pending& pending, const std::string& name);
  // True when the name exists and its file may be relied on after a sync.
  Result<bool> IsThere(const std::string& name) const;
  Status SyncExisting(const std::string& name);
  bool IsDistrusted(const std::string& name) const {
    MutexLock lock(mutex_);
    return distrusted_.contains(name);
  }
  Status EnsureFolder(const std::string& folder);

  Disk& disk_;
  const std::string root_;
  mutable Mutex mutex_;
  // Names whose file or folder could not be synced: their bytes have to be written anew.
  std::set<std::string> distrusted_ GUARDED_BY(mutex_);
  std::set<std::string> durable_folders_ GUARDED_BY(mutex_);
  // Names that were swapped before, and the paths of their spare files; empty = none now.
  std::map<std::string, std::string> spares_ GUARDED_BY(mutex_);
};

class LocalStagedFile final : public StagedFile {
 public:
  LocalStagedFile(LocalStorage& storage, std::string folder, std::unique_ptr<Pending> pending)
      : storage_(storage), folder_(std::move(folder)), pending_(std::move(pending)) {}

  Status Append(std::string_view bytes) override {
    RETURN_IF_ERROR(CheckUsable());
    if (buffer_.size() + bytes.size() < kBufferBytes) {
      buffer_ += bytes;
      return {};
    }
    RETURN_IF_ERROR(Flush());
    return Write(bytes);
  }

  uint64_t size() const override { return written_ + buffer_.size(); }
  std::string local_path() const override { return pending_->file->path(); }

  Result<std::string> ReadAt(uint64_t offset, uint64_t size) override {
    RETURN_IF_ERROR(CheckUsable());
    RETURN_IF_ERROR(Flush());
    return pending_->file->ReadSome(offset, size);
  }

  Status Commit(const std::string& name) override {
    RETURN_IF_ERROR(Complete(name));
    RETURN_IF_ERROR(pending_->file->Sync());
    RETURN_IF_ERROR(storage_.Publish(*pending_, name));
    return storage_.Remember(name, storage_.SyncFolderOf(name));
  }

  // All bytes are written; they, the name and the folder are still to be made durable.
  Status Complete(const std::string& name) {
    RETURN_IF_ERROR(CheckName(name));
    RETURN_IF_ERROR(CheckUsable());
    if (FolderOf(name) != folder_) return InvalidArgument("'{}' is not in folder '{}'", name, folder_);
    RETURN_IF_ERROR(Flush());
    usable_ = false;
    return {};
  }
  Pending& pending() { return *pending_; }

 private:
  Status CheckUsable() const {
    if (!usable_) return InvalidArgument("'{}' was committed or failed before", local_path());
    return {};
  }

  Status Flush() {
    const std::string bytes = std::move(buffer_);
    buffer_.clear();
    return Write(bytes);
  }

  Status Write(std::string_view bytes) {
    Status outcome = pending_->file->WriteAll(bytes, written_);
    if (!outcome.ok()) {
      usable_ = false;
      return outcome;
    }
    written_ += bytes.size();
    if (written_ - started_ >= kWritebackBytes) {
      pending_->file->StartWriteback(started_, written_ - started_);
      started_ = written_;
    }
    return {};
  }

  LocalStorage& storage_;
  const std::string folder_;
  std::unique_ptr<Pending> pending_;
  std::string buffer_;
  uint64_t written_ = 0;
  uint64_t started_ = 0;
  bool usable_ = true;
};

Result<std::unique_ptr<File>> LocalStorage::OpenNamed(const std::string& name) const {
  RETURN_IF_ERROR(CheckName(name));
  auto file = File::Open(disk_, PathOf(name), O_RDONLY);
  if (!file.ok()) {
    // A file where a folder is expected: then the name does not exist either.
    ASSIGN_OR_RETURN(const bool exists, Exists(name));
    if (!exists) return NotFound("no file '{}'", PathOf(name));
  }
  return file;
}

Result<std::vector<std::string>> LocalStorage::List(const std::string& prefix) const {
  RETURN_IF_ERROR(CheckFolder(prefix));
  const std::string folder = PathOf(prefix);
  std::vector<std::string> names;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (IsPendingName(it->path().filename().native())) continue;
    std::error_code vanished;
    if (it->is_regular_file(vanished)) names.push_back(it->path().native().substr(root_.size() + 1));
  }
  if (error && error.value() != ENOENT && error.value() != ENOTDIR) {
    return FromErrno(error.value(), fmt::format("cannot list '{}'", folder));
  }
  return names;
}

Status LocalStorage::EnsureFolder(const std::string& folder) {
  {
    MutexLock lock(mutex_);
    if (durable_folders_.contains(folder)) return {};
  }
  RETURN_IF_ERROR(MakeFolders(disk_, PathOf(folder)));
  for (std::string_view rest = folder; !rest.empty();) {
    rest = FolderOf(rest);
    RETURN_IF_ERROR(SyncFolder(disk_, PathOf(rest)));
  }
  MutexLock lock(mutex_);
  durable_folders_.insert(folder);
  return {};
}

Result<std::unique_ptr<Pending>> LocalStorage::NewPending(const std::string& folder) {
  RETURN_IF_ERROR(EnsureFolder(folder));
  const std::string path = PathOf(NewPendingName(folder));
  auto file = File::Open(disk_, path, O_RDWR | O_CREAT | O_EXCL);
  if (!file.ok() && file.error().code() == ErrorCode::kNotFound) {
    // The folder went away since it was made.
    {
      MutexLock lock(mutex_);
      durable_folders_.erase(folder);
    }
    RETURN_IF_ERROR(EnsureFolder(folder));
    file = File::Open(disk_, path, O_RDWR | O_CREAT | O_EXCL);
  }
  if (!file.ok()) return std::move(file).error();
  // The lock shows RemoveLeftovers that the writer lives. Whoever met the file before it was locked has
  // removed it.
  struct stat info{};
  const int fd = (*file)->fd();
  if (TryLock(fd) == -EAGAIN || (::fstat(fd, &info) == 0 && info.st_nlink == 0)) return NewPending(folder);
  return std::make_unique<Pending>(disk_, std::move(file).value());
}

Result<std::unique_ptr<Pending>> LocalStorage::WritePending(const std::string& name, std::string_view bytes) {
  ASSIGN_OR_RETURN(auto pending, NewPending(std::string(FolderOf(name))));
  RETURN_IF_ERROR(pending->file->WriteAll(bytes, 0));
  return pending;
}

Status LocalStorage::Publish(Pending& pending, const std::string& name) {
  const std::string target = PathOf(name);
  int outcome = -EEXIST;
  if (!IsDistrusted(name)) outcome = disk_.RenameNoReplace(pending.file->path(), target);
  if (outcome == -EEXIST) {
    if (!IsDistrusted(name)) return SyncExisting(name);
    outcome = disk_.Rename(pending.file->path(), target);
  }
  if (outcome < 0) {
    return FromErrno(-outcome, fmt::format("cannot rename '{}' to '{}'", pending.file->path(), target));
  }
  pending.published = true;
  MutexLock lock(mutex_);
  distrusted_.erase(name);
  return {};
}

Status LocalStorage::SyncFolderOf(const std::string& name) {
  return SyncFolder(disk_, PathOf(FolderOf(name)));
}

Status LocalStorage::Remember(const std::string& name, Status outcome) {
  if (!outcome.ok()) {
    MutexLock lock(mutex_);
    distrusted_.insert(name);
  }
  return outcome;
}

Status LocalStorage::SyncExisting(const std::string& name) {
  ASSIGN_OR_RETURN(auto file, OpenNamed(name));
  return Remember(name, file->Sync());
}

Result<bool> LocalStorage::IsThere(const std::string& name) const {
  if (IsDistrusted(name)) return false;
  return Exists(name);
}

Status LocalStorage::PutIfAbsent(const std::string& name, std::string_view bytes) {
  RETURN_IF_ERROR(CheckName(name));
  ASSIGN_OR_RETURN(const bool there, IsThere(name));
  if (there) {
    RETURN_IF_ERROR(SyncExisting(name));
  } else {
    ASSIGN_OR_RETURN(auto pending, WritePending(name, bytes));
    RETURN_IF_ERROR(pending->file->Sync());
    RETURN_IF_ERROR(Publish(*pending, name));
  }
  return Remember(name, SyncFolderOf(name));
}

// Runs all at the same time: the file system then makes them durable with one write of its journal.
Status SyncTogether(const std::vector<std::function<Status()>>& syncs) {
  std::vector<Status> outcomes(syncs.size());
  {
    std::vector<std::jthread> threads;
    for (size_t i = 1; i < syncs.size(); ++i) threads.emplace_back([&, i] { outcomes[i] = syncs[i](); });
    if (!syncs.empty()) outcomes[0] = syncs[0]();
  }
  for (auto& outcome : outcomes) RETURN_IF_ERROR(std::move(outcome));
  return {};
}

Status LocalStorage::PutAllIfAbsent(const std::vector<std::pair<std::string, std::string>>& objects) {
  return CommitAll({}, objects);
}

Status LocalStorage::CommitAll(const std::vector<std::pair<StagedFile*, std::string>>& staged,
                               const std::vector<std::pair<std::string, std::string>>& objects) {
  for (const auto& [name, bytes] : objects) RETURN_IF_ERROR(CheckName(name));
  std::vector<std::pair<const std::string*, Pending*>> pendings;
  std::set<std::string_view> folders;
  for (const auto& [file, name] : staged) {
    auto& local = static_cast<LocalStagedFile&>(*file);
    RETURN_IF_ERROR(local.Complete(name));
    pendings.emplace_back(&name, &local.pending());
    folders.insert(FolderOf(name));
  }
  std::vector<std::unique_ptr<Pending>> own;
  for (const auto& [name, bytes] : objects) {
    folders.insert(FolderOf(name));
    ASSIGN_OR_RETURN(const bool there, IsThere(name));
    if (there) {
      RETURN_IF_ERROR(SyncExisting(name));
      continue;
    }
    ASSIGN_OR_RETURN(auto pending, WritePending(name, bytes));
    pending->file->StartWriteback(0, bytes.size());
    pendings.emplace_back(&name, pending.get());
    own.push_back(std::move(pending));
  }
  // Many objects (a chain that is made anew) are written back already: threads would bring nothing.
  const bool together = pendings.size() <= kSyncThreads;
  std::vector<std::function<Status()>> syncs;
  for (auto& [name, pending] : pendings) {
    if (together) {
      syncs.emplace_back([file = pending->file.get()] { return file->Sync(); });
    } else {
      RETURN_IF_ERROR(pending->file->Sync());
    }
  }
  RETURN_IF_ERROR(SyncTogether(syncs));
  for (auto& [name, pending] : pendings) RETURN_IF_ERROR(Publish(*pending, *name));
  syncs.clear();
  for (const std::string_view folder : folders) {
    syncs.emplace_back([this, folder, &staged, &objects]() -> Status {
      Status outcome = SyncFolder(disk_, PathOf(folder));
      if (outcome.ok()) return outcome;
      for (const auto& [file, name] : staged) {
        if (FolderOf(name) == folder) (void)Remember(name, outcome).ok();
      }
      for (const auto& [name, bytes] : objects) {
        if (FolderOf(name) == folder) (void)Remember(name, outcome).ok();
      }
      return outcome;
    });
  }
  return SyncTogether(syncs);
}

Status LocalStorage::RenameOver(Pending& pending, const std::string& name) {
  const int outcome = disk_.Rename(pending.file->path(), PathOf(name));
  if (outcome < 0) return FromErrno(-outcome, fmt::format("cannot replace '{}'", PathOf(name)));
  pending.published = true;
  MutexLock lock(mutex_);
  distrusted_.erase(name);
  return {};
}

Status LocalStorage::Replace(const std::string& name, std::string_view bytes) {
  RETURN_IF_ERROR(CheckName(name));
  ASSIGN_OR_RETURN(auto pending, WritePending(name, bytes));
  RETURN_IF_ERROR(pending->file->Sync());
  RETURN_IF_ERROR(RenameOver(*pending, name));
  return Remember(name, SyncFolderOf(name));
}

Status LocalStorage::ReplaceUnsynced(const std::string& name, std::string_view bytes) {
  RETURN_IF_ERROR(CheckName(name));
  ASSIGN_OR_RETURN(auto pending, WritePending(name, bytes));
  return RenameOver(*pending, name);
}

std::unique_ptr<Pending> LocalStorage::TakeSpare(const std::string& name) {
  std::string path;
  {
    MutexLock lock(mutex_);
    if (const auto it = spares_.find(name); it != spares_.end()) path = std::exchange(it->second, "");
  }
  if (path.empty()) return nullptr;
  auto file = File::Open(disk_, path, O_RDWR);
  if (!file.ok()) return nullptr;  // it was taken for a leftover
  const int fd = (*file)->fd();
  struct stat info{};
  const bool is_ours = TryLock(fd) == 0 && ::fstat(fd, &info) == 0 && info.st_nlink == 1;
  auto spare = std::make_unique<Pending>(disk_, std::move(file).value());
  return is_ours && IsOpenHereOnly(fd) ? std::move(spare) : nullptr;
}

Result<std::unique_ptr<Pending>> LocalStorage::WriteSpare(const std::string& name, std::string_view bytes) {
  auto spare = TakeSpare(name);
  if (!spare) return WritePending(name, bytes);
  RETURN_IF_ERROR(spare->file->WriteAll(bytes, 0));
  ASSIGN_OR_RETURN(const uint64_t size, spare->file->Size());
  if (size > bytes.size()) RETURN_IF_ERROR(spare->file->Truncate(bytes.size()));
  return spare;
}

int LocalStorage::Swap(const Pending& pending, const std::string& name) {
  const std::string& from = pending.file->path();
  {
    MutexLock lock(mutex_);
    // What is written once leaves nothing behind.
    const bool is_first = spares_.try_emplace(name).second;
    if (is_first) return disk_.Rename(from, PathOf(name));
  }
  const int outcome = disk_.Exchange(from, PathOf(name));
  // The file system cannot, or the name is gone: as the first time.
  if (outcome == -EINVAL || outcome == -ENOSYS || outcome == -ENOENT) return disk_.Rename(from, PathOf(name));
  if (outcome < 0) return outcome;
  MutexLock lock(mutex_);
  spares_[name] = from;
  return outcome;
}

Status LocalStorage::CompareAndSwap(const std::string& name, const std::optional<std::string>& expected,
                                    std::string_view bytes) {
  RETURN_IF_ERROR(CheckName(name));
  std::optional<std::string> found;
  auto current = Get(name);
  if (current.ok()) {
    found = std::move(current).value();
  } else if (current.error().code() != ErrorCode::kNotFound) {
    return std::move(current).error();
  }
  if (found != expected) return ConflictOf(name, expected, found);
  ASSIGN_OR_RETURN(auto pending, WriteSpare(name, bytes));
  RETURN_IF_ERROR(pending->file->Sync());
  // From here on the new content may be what a restart finds.
  const int outcome =
      expected ? Swap(*pending, name) : disk_.RenameNoReplace(pending->file->path(), PathOf(name));
  if (outcome == -EEXIST && !expected)
    return ConflictOf(name, expected, Get(name).value_or("another content"));
  pending->published = outcome >= 0;
  Status status = OkStatus();
  if (outcome < 0) {
    status = FromErrno(-outcome, fmt::format("cannot replace '{}'", PathOf(name)));
  } else {
    status = Remember(name, SyncFolderOf(name));
  }
  if (status.ok()) {
    MutexLock lock(mutex_);
    distrusted_.erase(name);
    return {};
  }
  return MakeError(ErrorCode::kCommitUnknown, "it is not known whether '{}' was changed: {}", name,
                   status.error().ToString());
}

Result<std::unique_ptr<StagedFile>> LocalStorage::Stage(const std::string& folder) {
  RETURN_IF_ERROR(CheckFolder(folder));
  ASSIGN_OR_RETURN(auto pending, NewPending(folder));
  return std::unique_ptr<StagedFile>(std::make_unique<LocalStagedFile>(*this, folder, std::move(pending)));
}

Status LocalStorage::Sync(const std::vector<std::string>& names) {
  std::set<std::string> folders;
  for (const std::string& name : names) {
    RETURN_IF_ERROR(CheckName(name));
    if (IsDistrusted(name)) {
      return MakeError(ErrorCode::kUnavailable, "'{}' could not be synced before and has to be written anew",
                       name);
    }
    RETURN_IF_ERROR(SyncExisting(name));
    for (std::string_view rest = name; !rest.empty();) {
      rest = FolderOf(rest);
      folders.emplace(rest);
    }
  }
  for (const std::string& folder : folders) RETURN_IF_ERROR(SyncFolder(disk_, PathOf(folder)));
  return {};
}

Status LocalStorage::SyncAll() {
  ASSIGN_OR_RETURN(auto folder, File::Open(disk_, root_, O_RDONLY | O_DIRECTORY));
  RETURN_IF_ERROR(folder->SyncFileSystem());
  MutexLock lock(mutex_);
  if (distrusted_.empty()) return {};
  return MakeError(ErrorCode::kUnavailable, "'{}' could not be synced before and has to be written anew",
                   *distrusted_.begin());
}

Status LocalStorage::Delete(const std::string& name) {
  ASSIGN_OR_RETURN(const bool exists, Exists(name));
  if (!exists) return {};
  const int outcome = disk_.Remove(PathOf(name));
  if (outcome < 0 && outcome != -ENOENT)
    return FromErrno(-outcome, fmt::format("cannot remove '{}'", PathOf(name)));
  {
    MutexLock lock(mutex_);
    distrusted_.erase(name);
  }
  return SyncFolderOf(name);
}

Result<int> LocalStorage::RemoveLeftovers(int age_seconds) {
  const auto newest = fs::file_time_type::clock::now() - std::chrono::seconds(age_seconds);
  int removed = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(root_, error), end; !error && it != end; it.increment(error)) {
    if (!IsPendingName(it->path().filename().native())) continue;
    std::error_code vanished;
    if (!it->is_regular_file(vanished) || it->last_write_time(vanished) > newest || vanished) continue;
    auto file = File::Open(disk_, it->path().native(), O_RDWR);
    if (!file.ok() || TryLock((*file)->fd()) == -EAGAIN) continue;
    if (disk_.Remove(it->path().native()) >= 0) ++removed;
  }
  if (error) return FromErrno(error.value(), fmt::format("cannot list '{}'", root_));
  return removed;
}

}  // namespace

Result<std::unique_ptr<Storage>> OpenLocalStorageOn(Disk& disk, const std::string& folder) {
  if (folder.empty()) return InvalidArgument("the storage's folder has no name");
  std::string root = folder;
  while (root.size() > 1 && root.back() == '/') root.pop_back();
  RETURN_IF_ERROR(MakeFolders(disk, root));
  return std::unique_ptr<Storage>(std::make_unique<LocalStorage>(disk, std::move(root)));
}

Result<std::unique_ptr<Storage>> OpenLocalStorage(const std::string& folder) {
  return OpenLocalStorageOn(Disk::Real(), folder);
}

}  // namespace sluice::storage

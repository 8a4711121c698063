#include <map>

#include "base/mutex.h"
#include "storage/name.h"
#include "storage/storage.h"

namespace sluice::storage {
namespace {

class MemoryStorage;

class MemoryStagedFile final : public StagedFile {
 public:
  MemoryStagedFile(MemoryStorage& storage, std::string folder)
      : storage_(storage), folder_(std::move(folder)) {}

  Status Append(std::string_view bytes) override {
    bytes_ += bytes;
    return {};
  }
  uint64_t size() const override { return bytes_.size(); }
  std::string local_path() const override { return {}; }
  Result<std::string> ReadAt(uint64_t offset, uint64_t size) override {
    return offset < bytes_.size() ? bytes_.substr(offset, size) : std::string();
  }
  Status Commit(const std::string& name) override;

 private:
  MemoryStorage& storage_;
  const std::string folder_;
  std::string bytes_;
  bool committed_ = false;
};

class MemoryStorage final : public Storage {
 public:
  Result<std::string> Get(const std::string& name) const override {
    return GetRange(name, 0, std::string::npos);
  }

  Result<std::string> GetRange(const std::string& name, uint64_t offset, uint64_t size) const override {
    RETURN_IF_ERROR(CheckName(name));
    MutexLock lock(mutex_);
    auto it = files_.find(name);
    if (it == files_.end()) return Missing(name);
    return offset < it->second.size() ? it->second.substr(offset, size) : std::string();
  }

  Result<uint64_t> Size(const std::string& name) const override {
    RETURN_IF_ERROR(CheckName(name));
    MutexLock lock(mutex_);
    auto it = files_.find(name);
    if (it == files_.end()) return Missing(name);
    return it->second.size();
  }

  Result<bool> Exists(const std::string& name) const override {
    RETURN_IF_ERROR(CheckName(name));
    MutexLock lock(mutex_);
    return files_.contains(name);
  }

  Result<std::vector<std::string>> List(const std::string& prefix) const override {
    RETURN_IF_ERROR(CheckFolder(prefix));
    const std::string start = prefix.empty() ? prefix : prefix + "/";
    std::vector<std::string> names;
    MutexLock lock(mutex_);
    for (auto it = files_.lower_bound(start); it != files_.end() && it->first.starts_with(start); ++it) {
      names.push_back(it->first);
    }
    return names;
  }

  std::optional<std::string> LocalPath(const std::string&) const override { return std::nullopt; }

  Status PutIfAbsent(const std::string& name, std::string_view bytes) override {
    RETURN_IF_ERROR(CheckName(name));
    MutexLock lock(mutex_);
    files_.try_emplace(name, bytes);
    return {};
  }

  Status PutAllIfAbsent(const std::vector<std::pair<std::string, std::string>>& objects) override {
    for (const auto& [name, bytes] : objects) RETURN_IF_ERROR(CheckName(name));
    MutexLock lock(mutex_);
    for (const auto& [name, bytes] : objects) files_.try_emplace(name, bytes);
    return {};
  }

  Status Replace(const std::string& name, std::string_view bytes) override {
    RETURN_IF_ERROR(CheckName(name));
    MutexLock lock(mutex_);
    files_.insert_or_assign(name, std::string(bytes));
    return {};
  }

  Status ReplaceUnsynced(const std::string& name, std::string_view bytes) override {
    return Replace(name, bytes);
  }

  Status CompareAndSwap(const std::string& name, const std::optional<std::string>& expected,
                        std::string_view bytes) override {
    RETURN_IF_ERROR(CheckName(name));
    MutexLock lock(mutex_);
    auto it = files_.find(name);
    const std::optional<std::string> found = it == files_.end() ? std::nullopt : std::optional(it->second);
    if (found != expected) return ConflictOf(name, expected, found);
    files_.insert_or_assign(name, std::string(bytes));
    return {};
  }

  Result<std::unique_ptr<StagedFile>> Stage(const std::string& folder) override {
    RETURN_IF_ERROR(CheckFolder(folder));
    return std::unique_ptr<StagedFile>(std::make_unique<MemoryStagedFile>(*this, folder));
  }

  Status Sync(const std::vector<std::string>& names) override {
    for (const std::string& name : names) {
      ASSIGN_OR_RETURN(const bool exists, Exists(name));
      if (!exists) return Missing(name);
    }
    return {};
  }

  Status SyncAll() override { return {}; }

  Status Delete(const std::string& name) override {
    RETURN_IF_ERROR(CheckName(name));
    MutexLock lock(mutex_);
    files_.erase(name);
    return {};
  }

  Result<int> RemoveLeftovers(int) override { return 0; }

 private:
  static Error Missing(const std::string& name) { return NotFound("no '{}' in memory", name); }

  mutable Mutex mutex_;
  std::map<std::string, std::string> files_ GUARDED_BY(mutex_);
};

Status MemoryStagedFile::Commit(const std::string& name) {
  RETURN_IF_ERROR(CheckName(name));
  if (committed_) return InvalidArgument("'{}' was committed before", name);
  if (FolderOf(name) != folder_) return InvalidArgument("'{}' is not in folder '{}'", name, folder_);
  committed_ = true;
  return storage_.PutIfAbsent(name, bytes_);
}

}  // namespace

std::unique_ptr<Storage> MakeMemoryStorage() { return std::make_unique<MemoryStorage>(); }

}  // namespace sluice::storage

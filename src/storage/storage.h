#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace sluice::storage {

// A file being written under a temporary name in the folder of its final one. Thread-compatible. Destroying
// it without Commit removes it.
class StagedFile {
 public:
  virtual ~StagedFile() = default;

  virtual Status Append(std::string_view bytes) = 0;
  virtual uint64_t size() const = 0;
  // Path of the temporary file on this machine's disk, empty where there is none (memory).
  virtual std::string local_path() const = 0;
  // Bytes from the staged file, for a reader that needs them again before Commit.
  virtual Result<std::string> ReadAt(uint64_t offset, uint64_t size) = 0;
  // Makes the content durable (fsync of the file), gives it its name, and makes the name durable (fsync of
  // the folder). `name` is the whole name, in the folder that was staged for. A name that already exists is a
  // success: what is there is made durable and this file dropped (content addressing). After an error the
  // outcome is unknown and the file is not to be relied on. May be called once.
  virtual Status Commit(const std::string& name) = 0;
};

// Named bytes of one dataset (or of a workspace's derived files): `blocks/<hash>`, `data/<hash>`,
// `refs/head`. Names are relative, with `/`. Thread-safe unless said otherwise. Every write returns only when
// it is durable.
class Storage {
 public:
  virtual ~Storage() = default;

  // Errors: kNotFound; kUnavailable on I/O errors.
  virtual Result<std::string> Get(const std::string& name) const = 0;
  virtual Result<std::string> GetRange(const std::string& name, uint64_t offset, uint64_t size) const = 0;
  virtual Result<uint64_t> Size(const std::string& name) const = 0;
  virtual Result<bool> Exists(const std::string& name) const = 0;
  // Names below folder `prefix` (without temporary files), in no particular order. A missing folder is empty.
  virtual Result<std::vector<std::string>> List(const std::string& prefix) const = 0;
  // Path on this machine's disk, for libraries that open files themselves; nothing where there is none.
  virtual std::optional<std::string> LocalPath(const std::string& name) const = 0;

  // Durable when it returns: temporary file, write, fsync, rename, fsync of the folder. An existing name is
  // left as it is, and made durable; but one that this object once failed to sync is written anew.
  virtual Status PutIfAbsent(const std::string& name, std::string_view bytes) = 0;
  // The same for several at once: all files synced, each folder synced once.
  virtual Status PutAllIfAbsent(const std::vector<std::pair<std::string, std::string>>& objects) = 0;
  // Replaces durably. For references and derived files.
  virtual Status Replace(const std::string& name, std::string_view bytes) = 0;
  // Replaces without making it durable: for derived files that check themselves and may be lost.
  virtual Status ReplaceUnsynced(const std::string& name, std::string_view bytes) = 0;
  // Compare-and-swap of a small file under the caller's lock: `expected` nothing = must not exist.
  // Errors: kConflict when the content differs (naming both); kCommitUnknown when the write began and its
  // outcome is not known.
  virtual Status CompareAndSwap(const std::string& name, const std::optional<std::string>& expected,
                                std::string_view bytes) = 0;
  virtual Result<std::unique_ptr<StagedFile>> Stage(const std::string& folder) = 0;

  // Commits staged files of this storage under their names, and puts objects as PutAllIfAbsent does, all of
  // them together: what can be synced at the same time is. After an error some may be there.
  virtual Status CommitAll(const std::vector<std::pair<StagedFile*, std::string>>& staged,
                           const std::vector<std::pair<std::string, std::string>>& objects) {
    for (const auto& [file, name] : staged) {
      if (auto outcome = file->Commit(name); !outcome.ok()) return outcome;
    }
    return PutAllIfAbsent(objects);
  }
  // Makes existing names durable that another process may have written: fsync of each file, then of their
  // folders. Errors: kNotFound; kUnavailable also for a name that this object failed to sync before (a second
  // fsync proves nothing).
  virtual Status Sync(const std::vector<std::string>& names) = 0;
  // The same for everything stored here, when it is not known what another process left unsynced (syncfs).
  virtual Status SyncAll() = 0;
  // A missing name is a success.
  virtual Status Delete(const std::string& name) = 0;
  // Removes temporary files older than `age_seconds` that no living writer has. Returns how many.
  virtual Result<int> RemoveLeftovers(int age_seconds) = 0;
};

// A folder on the local disk; made (with parents) when absent. Errors: kPermissionDenied, kUnavailable.
Result<std::unique_ptr<Storage>> OpenLocalStorage(const std::string& folder);
// Bytes in memory: for tests and dry runs. What a power cut would leave is the business of
// testing/faulty_storage.h.
std::unique_ptr<Storage> MakeMemoryStorage();

}  // namespace sluice::storage

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "storage/storage.h"

namespace sluice::storage {

// A storage whose n-th step goes wrong, and whose power can be cut. Wraps any other. Each method is taken
// apart into the steps that a disk would see (put = write, sync file, rename, sync folder), each of them one
// call to count and to spoil. SyncAll is one step, a folder's sync of the empty name.
//
// Two things make a file last: its content was synced, and its name was (by its folder). Both are kept for
// every name that was touched, so that Crash() leaves behind exactly what a disk owes, or as much more as the
// test asks for. Thread-safe; SetPlan and Crash only while nothing else runs.
class FaultyStorage final : public Storage {
 public:
  enum class Step { kRead, kWrite, kSyncFile, kRename, kSyncFolder, kDelete };
  enum class Fault {
    kFail,      // the step fails without effect; a failed sync is never made good by a later one
    kTruncate,  // a write keeps half of its bytes and fails; as kFail for other steps
    kForget,    // a sync claims success and does nothing; other steps are left alone
    kHalt,      // this step and all that follow fail, as if the process had been killed just before
    kLate,      // the step has its effect, then fails, as do all that follow: killed just after
  };
  struct Call {
    uint64_t number;
    Step step;
    std::string name;
  };
  struct Plan {
    uint64_t at_call = 0;  // counted from 1; 0 = no fault
    Fault fault = Fault::kFail;
    ErrorCode code = ErrorCode::kUnavailable;
    bool count_reads = false;
    // Called before each counted step, without locks held: the place to wait, or to let somebody else write.
    std::function<void(const Call&)> before;
  };
  // What a power cut leaves of names and contents that were not synced.
  enum class Keep {
    kNothing,  // the state of the last syncs
    kNames,    // every rename and removal arrived; unsynced contents are cut to half
    kAll,      // everything arrived, as when only the process died
  };

  // `inner` outlives this object and is not changed by others meanwhile.
  explicit FaultyStorage(Storage& inner) : inner_(inner) {}

  void SetPlan(Plan plan) EXCLUDES(mutex_);
  uint64_t calls() const EXCLUDES(mutex_);
  bool fired() const EXCLUDES(mutex_);
  std::vector<Call> Calls() const EXCLUDES(mutex_);
  // Puts `inner` into the state after a power cut, forgets the plan and starts afresh.
  Status Crash(Keep keep) EXCLUDES(mutex_);
  // Names that a power cut could still change.
  std::vector<std::string> NotDurable() const EXCLUDES(mutex_);

  Result<std::string> Get(const std::string& name) const override;
  Result<std::string> GetRange(const std::string& name, uint64_t offset, uint64_t size) const override;
  Result<uint64_t> Size(const std::string& name) const override;
  Result<bool> Exists(const std::string& name) const override;
  Result<std::vector<std::string>> List(const std::string& prefix) const override;
  std::optional<std::string> LocalPath(const std::string& name) const override {
    return inner_.LocalPath(name);
  }
  Status PutIfAbsent(const std::string& name, std::string_view bytes) override;
  Status PutAllIfAbsent(const std::vector<std::pair<std::string, std::string>>& objects) override;
  Status Replace(const std::string& name, std::string_view bytes) override;
  Status ReplaceUnsynced(const std::string& name, std::string_view bytes) override;
  Status CompareAndSwap(const std::string& name, const std::optional<std::string>& expected,
                        std::string_view bytes) override;
  Result<std::unique_ptr<StagedFile>> Stage(const std::string& folder) override;
  Status Sync(const std::vector<std::string>& names) override;
  Status SyncAll() override;
  Status Delete(const std::string& name) override;
  Result<int> RemoveLeftovers(int age_seconds) override { return inner_.RemoveLeftovers(age_seconds); }

 private:
  friend class FaultyStagedFile;

  // What is known of a name that a power cut could change.
  struct Unsettled {
    std::optional<std::string> durable;  // what a crash goes back to
    bool content_synced = false;
    bool name_synced = false;
    bool distrusted = false;  // a sync failed: no later one helps
  };
  struct Outcome {
    Status status;
    bool has_effect = true;
  };

  Outcome Take(Step step, const std::string& name) const EXCLUDES(mutex_);
  Status Read(const std::string& name) const;
  // Runs `effect` (returning Status) if the step at hand has one.
  template <class Effect>
  Status Run(Step step, const std::string& name, Effect effect) const;

  // The state of a new file, before it has its name: true when its content was synced.
  Result<bool> WriteAndSync(const std::string& name);
  Result<bool> SyncNew(const std::string& name);
  // Names the new file through `change`, keeping what a crash would bring back.
  Status Name(const std::string& name, bool content_synced, const std::function<Status()>& change);
  Status SyncContent(const std::string& name);
  Status SyncFolderOf(const std::string& name);
  Status SyncFolders(const std::set<std::string>& folders);
  Result<bool> IsThere(const std::string& name) const;
  void Begin(const std::string& name, bool content_synced) EXCLUDES(mutex_);

  Storage& inner_;
  mutable Mutex mutex_;
  Plan plan_ GUARDED_BY(mutex_);
  mutable std::vector<Call> calls_ GUARDED_BY(mutex_);
  mutable bool fired_ GUARDED_BY(mutex_) = false;
  std::map<std::string, Unsettled> unsettled_ GUARDED_BY(mutex_);
};

}  // namespace sluice::storage

#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "dataset/dataset.h"
#include "index/guarded_index.h"
#include "odf/events.h"
#include "storage/file_lock.h"

namespace sluice::workspace {

// A dataset as the workspace knows it.
struct Entry {
  std::string alias;  // `name` or `account/name`
  multiformats::DatasetId id;
};

// A folder for the spills of one process, which may write to a dataset. It is locked while the process lives;
// once that is killed, the next command removes it together with the temporary files that it left in the
// dataset.
class Scratch {
 public:
  virtual ~Scratch() = default;
  virtual const std::string& folder() const = 0;
};

class Holding;

// A dataset to be made. Its key gives its id, so that others made with it can refer to it.
struct NewDataset {
  odf::DatasetSnapshot snapshot;  // normalized
  multiformats::KeyPair key;
  std::optional<Entry> replaces;  // goes, history included, when the new one is complete
};

// A folder with `.sluice/`:
//   version           text, "1"
//   datasets/<id>/    one folder a dataset, exactly the standard layout
//   derived/<id>/     chain state, durable head: may be lost
//   keys/<id>         private keys, mode 0600, never beside the data
//   index/            the key index        locks/   kernel locks        tmp/   a folder and its lock for each
//   process that writes
// Thread-compatible. Several processes may use one workspace; writers take the locks (decisions.md 11).
class Workspace {
 public:
  // Makes `.sluice/` in `folder`. Errors: kAlreadyExists when there is one (with `exists_ok` that is a
  // success).
  static Result<std::unique_ptr<Workspace>> Init(const std::string& folder, bool exists_ok);
  // Looks in `override_folder` (the value of SLUICE_WORKSPACE) when not empty, else in `from` and its
  // parents. Errors: kNotFound "Directory is not a sluice workspace".
  static Result<std::unique_ptr<Workspace>> Find(const std::string& from, const std::string& override_folder);

  // Absolute path of `.sluice`.
  const std::string& root() const { return root_; }
  std::string temp_folder() const { return root_ + "/tmp"; }
  std::string DatasetFolder(const multiformats::DatasetId& id) const;
  void set_lock_timeout(std::chrono::milliseconds timeout) { lock_timeout_ = timeout; }
  void set_stop(std::stop_token stop) { stop_ = std::move(stop); }
  // Who keeps the workspace's lock for long (a node) is asked to give it up for a while; what is returned is
  // kept as long as the lock is. `dataset` is the one to write to, absent for a change of names. Errors:
  // kNotFound when there is nobody to ask: the lock is then waited for.
  using AskForTurn =
      std::function<Result<std::shared_ptr<void>>(const std::optional<multiformats::DatasetId>& dataset)>;
  void set_ask_for_turn(AskForTurn ask) { ask_for_turn_ = std::move(ask); }
  // Called before a commit, or what replaces the dataset, takes its locks, unless the workspace is held.
  void set_before_commit(std::function<Status(const multiformats::DatasetId&)> before) {
    before_commit_ = std::move(before);
  }

  Result<dataset::DatasetStores> StoresOf(const multiformats::DatasetId& id) const;

  // By alias, in ASCII order without case.
  Result<std::vector<Entry>> List() const;
  // By alias (without case), DID, or the folder name. Errors: kNotFound with near names.
  Result<Entry> Resolve(std::string_view ref) const;
  // Entries that match a SQL LIKE pattern, or the one that `ref` names.
  Result<std::vector<Entry>> ResolvePattern(std::string_view ref) const;
  Result<std::unique_ptr<dataset::Dataset>> Open(const Entry& entry) const;
  // For everything that reads blocks or slices without the locks of BeginCommit: while it lives no compaction
  // removes files that the head refers to, or did when it was taken. Take it before the dataset is opened.
  // Errors: kUnavailable when a compaction is removing files all through the lock time-out; kCancelled.
  Result<std::unique_ptr<storage::FileLock>> HoldFiles(const multiformats::DatasetId& id) const;
  // The other side: waits a little for readers to end. Errors: kUnavailable when there are still some.
  Result<std::unique_ptr<storage::FileLock>> ExcludeReaders(const multiformats::DatasetId& id) const;

  // Keeps the workspace's lock and its key index from now on, for a process that writes for long (a node).
  // Commits then take the dataset's lock alone, and several threads may use this object. Not thread-safe
  // itself. Errors: kUnavailable after the lock time-out, naming the holder.
  Status Hold();
  // Gives them up. No commit may be running.
  void Release();

  // Locks one dataset for a commit: the workspace's lock, then the dataset's. Errors: kUnavailable after the
  // lock time-out, naming the holder.
  Result<std::unique_ptr<index::GuardedIndex>> BeginCommit(const multiformats::DatasetId& id) const;

  // For everything that writes to a dataset outside BeginCommit. Must not outlive what writes into it.
  // Without a dataset: for spills alone.
  Result<std::unique_ptr<Scratch>> MakeScratch(
      const std::optional<multiformats::DatasetId>& id = std::nullopt) const;

  // Makes a dataset from a normalized snapshot: key, folder, Seed and events with one system time, alias. A
  // creation that fails leaves no folder behind. Errors: kAlreadyExists; kInvalidArgument for names and
  // events.
  Result<Entry> Create(const odf::DatasetSnapshot& snapshot, const Clock& clock);
  // Several at once: all are complete and durable before the first is seen, and before anything is replaced.
  // Errors: as Create; then everything is as before.
  Result<std::vector<Entry>> CreateAll(const std::vector<NewDataset>& datasets, const Clock& clock);
  // Its variables and secrets go with it. Errors: kAlreadyExists when the name is taken; kPermissionDenied
  // when it has secrets and their key cannot be used.
  Status Rename(const Entry& entry, const std::string& new_alias);
  // Removes chain, data, index, key, variables and secrets. `Dependants` says who refers to it.
  Status Delete(const Entry& entry);
  // Derivative datasets that take `id` as an input.
  Result<std::vector<Entry>> Dependants(const multiformats::DatasetId& id) const;
  // Points a dataset at an earlier block; its index is built anew when it is needed next.
  Status Reset(const Entry& entry, const odf::Multihash& hash);

  // The dataset's key pair, when it was made here. Errors: kNotFound.
  Result<multiformats::KeyPair> LoadKey(const multiformats::DatasetId& id) const;

 private:
  explicit Workspace(std::string root) : root_(std::move(root)) {}

  // The workspace's lock, in this process or between processes.
  struct RootLock {
    std::shared_ptr<void> turn;  // given back after the lock
    std::shared_ptr<void> lock;
  };
  Result<RootLock> LockRoot(const std::optional<multiformats::DatasetId>& dataset) const;
  std::string ReadersLock(const multiformats::DatasetId& id) const;
  Status CheckNameFree(const std::string& alias, const std::optional<multiformats::DatasetId>& except) const;
  Status RemoveAbortedCreations() const;
  Status CopyVariables(const std::string& alias, const std::string& to) const;
  Status DropVariables(const std::string& alias) const;
  void RemoveLeftovers() const;
  Status RemoveFiles(const multiformats::DatasetId& id, const std::string& folder) const;
  Status WriteKey(const multiformats::KeyPair& key) const;
  // Creation before the dataset can be seen.
  std::string HiddenFolder(const multiformats::DatasetId& id) const;
  Status MakeHidden(const NewDataset& dataset, const Clock& clock) const;
  // Takes a dataset out of sight in one step; returns the folder that is left to remove.
  Result<std::string> Hide(const multiformats::DatasetId& id) const;
  Status SyncDatasets() const;
  // The renames of CreateAll as a plan that survives a crash (replacement.cc). The caller holds the
  // workspace's lock.
  bool HasReplacementPlan() const;
  // Waits for another process that is at it, or does what a crash left.
  Status EndReplacement() const;
  Status PlanReplacement(const std::vector<NewDataset>& datasets) const;
  Status FinishReplacement() const;

  std::string root_;
  std::shared_ptr<Holding> holding_;
  // What could not be synced in this process is known to whatever it opens later.
  mutable std::mutex failures_mutex_;
  mutable std::map<multiformats::DatasetId, std::shared_ptr<dataset::SyncFailures>> failures_;
  AskForTurn ask_for_turn_;
  std::function<Status(const multiformats::DatasetId&)> before_commit_;
  std::chrono::milliseconds lock_timeout_{60000};
  std::stop_token stop_;
};

// Errors: kInvalidArgument quoting the alias and the grammar (odf-metadata.md 2.5).
Status CheckAlias(std::string_view alias);
// SQL LIKE with `%` and `_`, without case.
bool MatchesPattern(std::string_view text, std::string_view pattern);

}  // namespace sluice::workspace

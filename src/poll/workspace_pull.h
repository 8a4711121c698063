#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "poll/pull.h"
#include "workspace/workspace.h"

namespace sluice::poll {

// One dataset of a workspace, held for a pull: opened, with a folder for spills, and locked against other
// pulls of it. Confined to one thread.
class HeldDataset {
 public:
  // Waits for another pull of the dataset as long as for any lock. Errors: kUnavailable, naming the holder.
  static Result<std::unique_ptr<HeldDataset>> Take(const workspace::Workspace& workspace,
                                                   const workspace::Entry& entry,
                                                   std::chrono::milliseconds wait, std::stop_token stop);
  ~HeldDataset();
  const PullTarget& target() const { return target_; }
  PullTarget& target() { return target_; }
  // As poll::Pull; how it went is remembered for `list -w`.
  Status Pull(const PullSettings& settings, PullProgress* progress, PullOutcome* outcome) const;

 private:
  struct Holds;
  HeldDataset() = default;
  std::unique_ptr<Holds> holds_;
  PullTarget target_;
};

// Whether a pattern of a schedule means the dataset: it has a polling source, or cannot be opened, which its
// run will tell.
bool MayBePulled(const workspace::Workspace& workspace, const workspace::Entry& entry);

// Where the savepoints of all datasets lie; those of one dataset.
std::string SavepointsFolder(const workspace::Workspace& workspace);
std::string SavepointsFolder(const workspace::Workspace& workspace, const std::string& alias);
// Removes those of all datasets that are not being pulled. Returns how many bytes that freed.
Result<uint64_t> DropAllSavepoints(const workspace::Workspace& workspace);

// Pulls datasets, `jobs` at the same time, each with a workspace object of its own. `settings_for` and
// `on_done` are called from the threads, one at a time; the progress that `progress_for` gives (may be null)
// belongs to its job. A failure is that dataset's alone.
struct PullAllOptions {
  int jobs = 4;
  std::chrono::milliseconds lock_timeout{60'000};
  // A workspace object for one thread.
  std::function<Result<std::unique_ptr<workspace::Workspace>>()> open_workspace;
  std::function<Result<PullSettings>(const workspace::Entry& entry)> settings_for;
  std::function<PullProgress*(const workspace::Entry& entry)> progress_for;
  // The outcome is of what was done, also when it failed; without heads when it did not come to a pull.
  std::function<void(const workspace::Entry& entry, const Status& status, const PullOutcome& outcome)>
      on_done;
  std::stop_token stop;
};
void PullAll(const std::vector<workspace::Entry>& entries, const PullAllOptions& options);

}  // namespace sluice::poll

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/instant.h"
#include "base/result.h"
#include "poll/cron.h"
#include "storage/file_lock.h"
#include "workspace/config.h"
#include "workspace/workspace.h"

namespace sluice::poll {

// What is remembered of a dataset's scheduled runs.
struct RunState {
  std::optional<Instant> last_start, last_end, next_run;
  bool last_failed = false;
  std::string last_error;
  int failures = 0;  // in a row
  int64_t runs = 0, missed = 0;
};

// Decides when each dataset runs: regular times by cron or interval with jitter, retries with backoff after a
// failure, one run at a time of a dataset, a run that was missed made up for once (or not). Pure: time comes
// in as an argument. Thread-compatible.
class Schedule {
 public:
  // A `jitter` of 0..1 for each decision; for tests.
  explicit Schedule(std::function<double()> random);

  // Adds or replaces a dataset; `known` is what was remembered of it. Errors: kInvalidArgument for the cron
  // expression.
  Status Add(const std::string& alias, const workspace::ScheduleEntry& entry, const RunState& known,
             Instant now);
  void Remove(const std::string& alias);

  // Datasets that are due and not running, the longest due first.
  std::vector<std::string> Due(Instant now) const;
  // The next time that something is due; nothing when nothing ever is.
  std::optional<Instant> NextTime() const;
  void Started(const std::string& alias, Instant now);
  void Ended(const std::string& alias, Instant now, const std::optional<std::string>& error);

  const std::map<std::string, RunState>& states() const { return states_; }
  bool IsRunning(const std::string& alias) const;

 private:
  struct Plan {
    workspace::ScheduleEntry entry;
    std::optional<Cron> cron;
    bool running = false;
  };
  Instant RegularAfter(const Plan& plan, Instant time) const;
  Instant WithJitter(const Plan& plan, Instant time) const;

  std::function<double()> random_;
  std::map<std::string, Plan> plans_;
  std::map<std::string, RunState> states_;
};

// Datasets with what is scheduled for them, each once, in the order of the schedule: the first entry counts
// of those that mean a dataset, by its name or, where it has something to pull, by a pattern.
using PlannedRuns = std::vector<std::pair<std::string, workspace::ScheduleEntry>>;
PlannedRuns Planned(const std::vector<workspace::ScheduleEntry>& schedule,
                    const std::vector<workspace::Entry>& datasets,
                    const std::function<bool(const workspace::Entry&)>& may_be_pulled);

// Held by the one process that runs the schedules of a workspace: two would do everything twice. Errors:
// kUnavailable while another one does.
Result<std::unique_ptr<storage::FileLock>> TakeScheduleLock(const std::string& workspace_root);

// Kept in `.sluice/schedule-state.json`, so that a restart knows what was missed and `list -w` can show it. A
// missing or damaged file is an empty one.
std::map<std::string, RunState> LoadRunStates(const std::string& workspace_root);
Status SaveRunStates(const std::string& workspace_root, const std::map<std::string, RunState>& states);

}  // namespace sluice::poll

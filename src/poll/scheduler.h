#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "poll/schedule.h"

namespace sluice::poll {

struct SchedulerOptions {
  std::string workspace_root;  // remembers its runs there
  const Clock* clock = nullptr;
  int jobs = 4;
  // Pulls one dataset; called from the scheduler's threads, never twice at the same time for one dataset.
  std::function<Status(const std::string& alias)> run;
  // What is scheduled now: asked at the start and every minute, so that changes of configuration and datasets
  // are seen. A failure keeps what there was.
  std::function<Result<PlannedRuns>()> scheduled;
  // Told of failures to plan or to remember; may be empty.
  std::function<void(const Error&)> on_trouble;
};

// Runs pulls at their times in threads of its own: `pull --watch` and a node host it. Destroying it waits for
// the runs that are going on; their own stop token ends them sooner. Thread-safe.
class Scheduler {
 public:
  // Errors: those of `scheduled` and of the cron expressions.
  static Result<std::unique_ptr<Scheduler>> Start(SchedulerOptions options);
  ~Scheduler();

  // Starts a dataset's run as soon as a thread is free, whatever its schedule says. False when it is not
  // scheduled.
  bool RunNow(const std::string& alias);
  std::map<std::string, RunState> states() const;

 private:
  struct Impl;
  explicit Scheduler(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::poll

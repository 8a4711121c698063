#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "fetch/fetch.h"
#include "gateway/gateway.h"
#include "poll/pull.h"
#include "poll/schedule.h"

namespace sluice::server {

struct PullerOptions {
  int jobs = 4;
  // What the source of a dataset may do besides reading public addresses when nobody here wrote or trusts it:
  // null = nothing (push-protocol.md 8).
  std::function<fetch::Capabilities(const workspace::Entry& entry)> granted;
  // Told of every run, on the puller's threads.
  std::function<void(const std::string& dataset, const Result<poll::PullOutcome>& outcome)> on_pull;
  // Told when a run cannot be planned or remembered.
  std::function<void(const Error&)> on_trouble;
};

// Pulls polling sources at the times of `schedule:` in the workspace's configuration, taking turns with
// pushes and changes (Gateway::BeginCommit). What is scheduled is read anew every minute. Thread-safe.
class Puller {
 public:
  virtual ~Puller() = default;  // as Stop
  // The workspace, the gateway and the clock must outlive it. Errors: those of the configuration;
  // kUnavailable when `sluice pull --watch` runs the schedules of this workspace.
  static Result<std::unique_ptr<Puller>> Start(workspace::Workspace& workspace, gateway::Gateway& gateway,
                                               const Clock& clock, PullerOptions options);

  // Starts nothing more, cancels what runs and waits for it; what was committed stays. May be repeated.
  virtual void Stop() = 0;

  struct View {
    poll::RunState state;
    bool is_running = false;
    uint64_t records = 0;  // added since the start
  };
  virtual std::map<std::string, View> views() const = 0;
};

}  // namespace sluice::server

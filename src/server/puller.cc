#include "server/puller.h"

#include <set>

#include "base/mutex.h"
#include "poll/scheduler.h"
#include "poll/settings.h"
#include "poll/workspace_pull.h"
#include "storage/file_lock.h"
#include "workspace/trust.h"

#ifndef SLUICE_VERSION
#define SLUICE_VERSION "0.0.0"
#endif

namespace sluice::server {
namespace {

// Another pull of the dataset, or another commit, is waited for so long.
constexpr auto kLockTimeout = std::chrono::seconds(60);

class PullerImpl final : public Puller {
 public:
  PullerImpl(workspace::Workspace& workspace, gateway::Gateway& gateway, const Clock& clock,
             PullerOptions options)
      : workspace_(workspace), gateway_(gateway), clock_(clock), options_(std::move(options)) {}
  ~PullerImpl() override { PullerImpl::Stop(); }

  void Stop() override {
    stop_.request_stop();
    std::unique_ptr<poll::Scheduler> ending;
    {
      MutexLock lock(mutex_);
      ending = std::move(scheduler_);
    }
  }

  Status Run() {
    auto lock = poll::TakeScheduleLock(workspace_.root());
    if (!lock.ok() && lock.error().code() == ErrorCode::kUnavailable) {
      return std::move(lock).error().With(
          "the schedules of this workspace are run by 'sluice pull --watch': end it, or give --schedules false");
    }
    if (!lock.ok()) return std::move(lock).error();
    lock_ = std::move(*lock);
    poll::SchedulerOptions options;
    options.workspace_root = workspace_.root();
    options.clock = &clock_;
    options.jobs = options_.jobs;
    options.run = [this](const std::string& alias) { return RunOne(alias); };
    options.scheduled = [this] { return Scheduled(); };
    options.on_trouble = options_.on_trouble;
    ASSIGN_OR_RETURN(auto scheduler, poll::Scheduler::Start(std::move(options)));
    MutexLock held(mutex_);
    scheduler_ = std::move(scheduler);
    return {};
  }

  std::map<std::string, View> views() const override {
    std::map<std::string, View> views;
    MutexLock lock(mutex_);
    if (!scheduler_) return views;
    for (const auto& [alias, state] : scheduler_->states()) views[alias].state = state;
    for (auto& [alias, view] : views) {
      view.is_running = running_.contains(alias);
      if (const auto it = records_.find(alias); it != records_.end()) view.records = it->second;
    }
    return views;
  }

 private:
  Result<poll::PlannedRuns> Scheduled() const {
    ASSIGN_OR_RETURN(const auto config, workspace::Config::Load(workspace_.root()));
    ASSIGN_OR_RETURN(const auto all, workspace_.List());
    return poll::Planned(config.schedule(), all,
                         [this](const auto& entry) { return poll::MayBePulled(workspace_, entry); });
  }

  Status RunOne(const std::string& alias) {
    {
      MutexLock lock(mutex_);
      running_.insert(alias);
    }
    poll::PullOutcome outcome;
    const Status status = PullOne(alias, &outcome);
    {
      MutexLock lock(mutex_);
      running_.erase(alias);
      records_[alias] += static_cast<uint64_t>(outcome.records_added);  // also before a failure
    }
    // Ended with the node: it says nothing of the source.
    if (!status.ok() && stop_.stop_requested() && status.error().code() == ErrorCode::kCancelled) return {};
    if (options_.on_pull) {
      options_.on_pull(alias, status.ok() ? Result<poll::PullOutcome>(outcome)
                                          : Result<poll::PullOutcome>(status.error()));
    }
    return status;
  }

  Status PullOne(const std::string& alias, poll::PullOutcome* outcome) {
    ASSIGN_OR_RETURN(const auto entry, workspace_.Resolve(alias));
    ASSIGN_OR_RETURN(const auto config, workspace::Config::Load(workspace_.root()));
    ASSIGN_OR_RETURN(
        const auto secrets,
        workspace::Secrets::Load(workspace_.root(), workspace::SecretsKeySource::FromEnvironment()));
    ASSIGN_OR_RETURN(const auto held,
                     poll::HeldDataset::Take(workspace_, entry, kLockTimeout, stop_.get_token()));
    poll::PullTarget& target = held->target();
    target.begin_commit = [this, entry] { return gateway_.BeginCommit(entry); };
    poll::PullSettings settings = poll::SettingsFrom(config, clock_, "sluice/" SLUICE_VERSION);
    auto trust = workspace::Trust::kWhole;
    if (const auto& source = target.dataset->state().polling_source) {
      ASSIGN_OR_RETURN(trust, workspace::TrustOf(workspace_.root(), source->event));
    }
    if (trust == workspace::Trust::kNone) settings.may = Granted(entry);
    if (trust == workspace::Trust::kPublic) settings.may.private_addresses = Granted(entry).private_addresses;
    const poll::WorkspaceVariables variables(
        config, secrets, entry.alias,
        settings.may.environment ? poll::Reach::kEverything : poll::Reach::kDatasetAlone);
    settings.variables = &variables;
    settings.stop = stop_.get_token();
    return held->Pull(settings, nullptr, outcome);
  }

  fetch::Capabilities Granted(const workspace::Entry& entry) const {
    if (options_.granted) return options_.granted(entry);
    fetch::Capabilities none;
    none.files = none.commands = none.environment = none.private_addresses = false;
    return none;
  }

  workspace::Workspace& workspace_;
  gateway::Gateway& gateway_;
  const Clock& clock_;
  const PullerOptions options_;
  std::stop_source stop_;
  std::unique_ptr<storage::FileLock> lock_;
  mutable Mutex mutex_;
  std::set<std::string> running_ GUARDED_BY(mutex_);
  std::map<std::string, uint64_t> records_ GUARDED_BY(mutex_);
  std::unique_ptr<poll::Scheduler> scheduler_ GUARDED_BY(mutex_);
};

}  // namespace

Result<std::unique_ptr<Puller>> Puller::Start(workspace::Workspace& workspace, gateway::Gateway& gateway,
                                              const Clock& clock, PullerOptions options) {
  auto puller = std::make_unique<PullerImpl>(workspace, gateway, clock, std::move(options));
  RETURN_IF_ERROR(puller->Run());
  return std::unique_ptr<Puller>(std::move(puller));
}

}  // namespace sluice::server

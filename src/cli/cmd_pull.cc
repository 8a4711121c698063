#include <algorithm>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "base/mutex.h"
#include "base/quantity.h"
#include "cli/commands.h"
#include "cli/node_client.h"
#include "cli/pull_lines.h"
#include "cli/usage.h"
#include "poll/scheduler.h"
#include "poll/settings.h"
#include "poll/workspace_pull.h"
#include "storage/file_lock.h"

namespace sluice::cli {
namespace {

using Json = nlohmann::json;

struct PullArgs {
  std::vector<std::string> datasets;
  bool all = false, recursive = false, fetch_uncacheable = false, force = false, late = false, watch = false;
  std::string set_watermark, format, every, on_error, rejects, on_duplicate;
  int jobs = 4;
  int64_t batch_rows = read::ReadOptions().batch_rows;
};

class PullCommand {
 public:
  PullCommand(Session& session, const PullArgs& args) : session_(session), args_(args) {}

  Status Run() {
    if (args_.watch ? args_.all && !args_.datasets.empty() : args_.all != args_.datasets.empty())
      return UsageError("name the datasets, or give --all");
    if (!args_.every.empty() && !args_.watch) return UsageError("--every goes with --watch");
    if (!args_.format.empty() && args_.format != "json" && args_.format != "text")
      return UsageError("unknown output format '{}': text or json", args_.format);
    if (!args_.rejects.empty() && args_.on_error != "skip")
      return UsageError("--rejects goes with --on-error skip");
    ASSIGN_OR_RETURN(workspace_, session_.OpenWorkspace());
    RETURN_IF_ERROR(LoadConfig());
    RETURN_IF_ERROR(CheckTogether());
    if (args_.watch && !args_.rejects.empty()) return UsageError("--rejects goes with one dataset");
    if (args_.watch) return Watch();
    RETURN_IF_ERROR(Choose());
    if (!args_.set_watermark.empty() && !outcomes_.empty()) return outcomes_.begin()->second.status;
    if (!args_.set_watermark.empty()) return SetWatermark();
    if (!args_.rejects.empty() && entries_.size() > 1) return UsageError("--rejects goes with one dataset");
    return PullThem();
  }

 private:
  // What says nothing to a watcher, or to who only sets a watermark.
  Status CheckTogether() const {
    if (args_.watch && !args_.format.empty())
      return UsageError("--watch tells of each run as it ends: -o goes with a pull that ends");
    if (args_.watch && !args_.set_watermark.empty())
      return UsageError("--set-watermark goes without --watch");
    const bool pulls = args_.fetch_uncacheable || args_.force || args_.late || !args_.on_error.empty() ||
                       !args_.on_duplicate.empty() || !args_.format.empty();
    if (!args_.set_watermark.empty() && pulls)
      return UsageError("--set-watermark pulls nothing, and goes without the options of a pull");
    return {};
  }

  Status LoadConfig() {
    ASSIGN_OR_RETURN(auto config, workspace::Config::Load(workspace_->root()));
    config_ = std::make_unique<workspace::Config>(std::move(config));
    ASSIGN_OR_RETURN(auto secrets, workspace::Secrets::Load(workspace_->root(),
                                                            workspace::SecretsKeySource::FromEnvironment()));
    secrets_ = std::make_unique<workspace::Secrets>(std::move(secrets));
    return {};
  }

  Status Choose() {
    RETURN_IF_ERROR(ChooseNamed());
    for (size_t i = 0; i < entries_.size();) {
      auto pulled = IsPulled(entries_[i]);
      if (pulled.ok() && *pulled) {
        ++i;
        continue;
      }
      // One that cannot be opened is a failure of its own, and stops no other.
      if (!pulled.ok()) outcomes_.emplace(entries_[i].alias, Done{std::move(pulled).error(), {}});
      entries_.erase(entries_.begin() + static_cast<long>(i));
    }
    return {};
  }

  // False for a dataset that is computed from others: with --recursive those are pulled; of all, and of what
  // a pattern names, only what can be pulled is.
  Result<bool> IsPulled(workspace::Entry entry) {
    ASSIGN_OR_RETURN(const auto dataset, workspace_->Open(entry));
    const auto& state = dataset->state();
    if (state.kind == odf::DatasetKind::kRoot) return true;
    if (!args_.recursive && named_.contains(entry.alias)) {
      return Unsupported("it is computed from others and has nothing to pull; --recursive pulls those");
    }
    if (!args_.recursive || !state.transform) return false;
    for (const auto& input : state.transform->inputs) {
      ASSIGN_OR_RETURN(auto found, workspace_->Resolve(input.dataset_ref));
      AddOnce(std::move(found));
    }
    return false;
  }

  void AddOnce(workspace::Entry entry) {
    const bool twice =
        std::any_of(entries_.begin(), entries_.end(), [&](const auto& e) { return e.id == entry.id; });
    if (!twice) entries_.push_back(std::move(entry));
  }

  Status ChooseNamed() {
    if (args_.all) {
      ASSIGN_OR_RETURN(entries_, workspace_->List());
      return {};
    }
    for (const auto& ref : args_.datasets) {
      auto resolved = workspace_->ResolvePattern(ref);
      if (!resolved.ok()) {  // a failure like others: it stops no other pull
        outcomes_.emplace(ref, Done{std::move(resolved).error(), {}});
        continue;
      }
      auto& found = *resolved;
      if (found.empty()) session_.Warn(fmt::format("Warning: no dataset matches '{}'", ref));
      for (auto& entry : found) {
        if (ref.find('%') == std::string::npos) named_.insert(entry.alias);
        AddOnce(std::move(entry));
      }
    }
    return {};
  }

  std::chrono::milliseconds LockTimeout() const {
    return std::chrono::seconds(session_.lock_timeout_seconds);
  }

  Status SetWatermark() {
    if (entries_.size() != 1) return UsageError("--set-watermark goes with one dataset");
    auto time = ParseInstant(args_.set_watermark);
    if (!time.ok()) return std::move(time).error().With("usage");
    ASSIGN_OR_RETURN(const auto held,
                     poll::HeldDataset::Take(*workspace_, entries_[0], LockTimeout(), session_.stop()));
    auto changed =
        poll::SetWatermark(held->target(), *time, config_->Text("polling_state_name"), session_.clock());
    if (!changed.ok()) return std::move(changed).error().With(fmt::format("dataset '{}'", entries_[0].alias));
    if (*changed) {
      session_.Say("Committed new block {}", held->target().dataset->head().ToShortString());
    } else {
      session_.Say("Watermark was up-to-date");
    }
    return {};
  }

  // Under the lock of PullAll, or of the watcher.
  Result<poll::PullSettings> SettingsFor(const workspace::Entry& entry) {
    auto settings = poll::SettingsFrom(*config_, session_.clock(), "sluice/" SLUICE_VERSION);
    ASSIGN_OR_RETURN(const auto dataset, workspace_->Open(entry));
    if (const auto& source = dataset->state().polling_source) {
      ASSIGN_OR_RETURN(settings.may, poll::CapabilitiesOf(workspace_->root(), source->event));
    }
    auto& variables = variables_.emplace_back(*config_, *secrets_, entry.alias, poll::ReachOf(settings.may));
    settings.variables = &variables;
    settings.fetch_uncacheable = args_.fetch_uncacheable;
    settings.force = args_.force;
    settings.late = args_.late;
    if (args_.on_error == "skip") settings.on_error = ingest::OnError::kSkip;
    settings.rejects_path = args_.rejects;
    settings.refuse_duplicates = args_.on_duplicate == "error";
    settings.batch_rows = args_.batch_rows;
    settings.stop = session_.stop();
    return settings;
  }

  Result<std::unique_ptr<workspace::Workspace>> OpenForThread() {
    const auto& root = workspace_->root();
    ASSIGN_OR_RETURN(auto workspace, workspace::Workspace::Find(root.substr(0, root.rfind('/')), ""));
    workspace->set_lock_timeout(LockTimeout());
    workspace->set_stop(session_.stop());
    LiveBesideNode(session_, *workspace);
    return workspace;
  }

  poll::PullAllOptions Options() {
    poll::PullAllOptions options;
    options.jobs = args_.jobs;
    options.lock_timeout = LockTimeout();
    options.stop = session_.stop();
    options.open_workspace = [this] { return OpenForThread(); };
    options.settings_for = [this](const workspace::Entry& entry) { return SettingsFor(entry); };
    return options;
  }

  // Datasets with their schedules: those of the configuration, or --every for those named.
  Result<poll::PlannedRuns> Scheduled() {
    MutexLock lock(mutex_);
    ASSIGN_OR_RETURN(const auto config, workspace::Config::Load(workspace_->root()));
    std::vector<workspace::ScheduleEntry> schedule = config.schedule();
    if (!args_.every.empty()) {
      workspace::ScheduleEntry entry;
      entry.datasets = args_.datasets.empty() ? std::vector<std::string>{"%"} : args_.datasets;
      ASSIGN_OR_RETURN(entry.every, ParseDuration(args_.every, BareNumber::kSeconds));
      if (entry.every < std::chrono::seconds(1)) return UsageError("--every is less than a second");
      schedule = {entry};
    }
    ASSIGN_OR_RETURN(auto datasets, workspace_->List());
    if (!args_.datasets.empty()) {
      std::erase_if(datasets, [this](const workspace::Entry& dataset) {
        return std::none_of(args_.datasets.begin(), args_.datasets.end(), [&](const std::string& pattern) {
          return workspace::MatchesPattern(dataset.alias, pattern);
        });
      });
    }
    return poll::Planned(schedule, datasets,
                         [this](const auto& entry) { return poll::MayBePulled(*workspace_, entry); });
  }

  Status RunScheduled(const std::string& alias) {
    poll::PullAllOptions options = Options();
    workspace::Entry entry;
    {
      MutexLock lock(mutex_);
      ASSIGN_OR_RETURN(entry, workspace_->Resolve(alias));
    }
    // The functions of this object are for one thread at a time.
    options.open_workspace = [this] {
      MutexLock lock(mutex_);
      return OpenForThread();
    };
    options.settings_for = [this](const workspace::Entry& one) {
      MutexLock lock(mutex_);
      return SettingsFor(one);
    };
    Status result;
    options.on_done = [&](const workspace::Entry&, const Status& status, const poll::PullOutcome& outcome) {
      MutexLock lock(mutex_);
      Report(alias, outcome);
      // Ended with the watcher: it says nothing of the source.
      if (session_.stop().stop_requested() && !status.ok() && status.error().code() == ErrorCode::kCancelled)
        return;
      result = status;
      if (!status.ok()) session_.Warn(fmt::format("Failed to pull {}: {}", alias, status.error().ToString()));
    };
    poll::PullAll({entry}, options);
    return result;
  }

  // Pulls at the times of the configuration until it is interrupted.
  Status Watch() {
    poll::SchedulerOptions options;
    options.workspace_root = workspace_->root();
    options.clock = &session_.clock();
    options.jobs = args_.jobs;
    options.run = [this](const std::string& alias) { return RunScheduled(alias); };
    options.scheduled = [this] { return Scheduled(); };
    options.on_trouble = [this](const Error& error) { session_.Warn("Warning: " + error.ToString()); };
    ASSIGN_OR_RETURN(const auto planned, Scheduled());
    if (planned.empty() && (!args_.every.empty() || !config_->schedule().empty())) {
      return NotFound("no dataset that can be pulled is named by {}",
                      args_.every.empty() ? "'schedule:' in " + workspace_->root() + "/config.yaml"
                                          : "the patterns given");
    }
    if (planned.empty()) {
      return InvalidArgument("nothing is scheduled: give --every 15m, or put 'schedule:' into {}/config.yaml",
                             workspace_->root());
    }
    auto alone = poll::TakeScheduleLock(workspace_->root());
    if (!alone.ok()) {
      return std::move(alone).error().With(
          "the schedules of this workspace are run already, by a node or by another 'pull --watch'");
    }
    ASSIGN_OR_RETURN(const auto scheduler, poll::Scheduler::Start(std::move(options)));
    session_.Say("Watching {} dataset(s); Ctrl-C ends it", planned.size());
    const auto stop = session_.stop();
    while (!stop.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return Error(ErrorCode::kCancelled, "interrupted");
  }

  Status PullThem() {
    PullLines lines(session_.stderr_is_terminal() && !session_.no_color && !session_.quiet);
    auto options = Options();
    options.progress_for = [&](const workspace::Entry& entry) { return lines.For(entry.alias); };
    options.on_done = [&](const workspace::Entry& entry, const Status& status,
                          const poll::PullOutcome& outcome) {
      lines.End(entry.alias);
      outcomes_.emplace(entry.alias, Done{status, outcome});
      Report(entry.alias, outcome);
    };
    poll::PullAll(entries_, options);
    lines.Clear();
    if (args_.format == "json") RETURN_IF_ERROR(PrintJson());
    return Conclude();
  }

  void Report(const std::string& alias, const poll::PullOutcome& outcome) {
    for (const auto& note : outcome.notes) session_.Say("{}: {}", alias, note);
    if (outcome.updated) {
      session_.Say("{}: {} records read, {} added", alias, outcome.records_read, outcome.records_added);
    }
    if (outcome.records_skipped > 0) {
      session_.Warn(
          fmt::format("{}: {} bad record(s) left out{}", alias, outcome.records_skipped,
                      args_.rejects.empty() ? "; --rejects FILE keeps them" : ", see " + args_.rejects));
    }
    if (outcome.uncacheable) {
      session_.Say("{}: the source cannot tell whether it changed; --fetch-uncacheable downloads it again",
                   alias);
    }
  }

  Status Conclude() {
    size_t updated = 0, unchanged = 0;
    std::vector<std::pair<std::string, Error>> failures;
    for (const auto& [alias, done] : outcomes_) {
      if (!done.status.ok()) {
        failures.emplace_back(alias, done.status.error());
      } else {
        ++(done.outcome.updated ? updated : unchanged);
      }
    }
    if (updated > 0) session_.Say("{} dataset(s) updated", updated);
    if (unchanged > 0) session_.Say("{} dataset(s) up-to-date", unchanged);
    if (failures.empty()) return {};
    session_.Warn(fmt::format("Failed to update {} dataset(s)", failures.size()));
    for (const auto& [alias, error] : failures)
      session_.Warn(fmt::format("Failed to pull {}: {}", alias, error.ToString()));
    return Error(failures.front().second.code(),
                 failures.size() == 1
                     ? "one dataset was not pulled, see above"
                     : fmt::format("{} datasets were not pulled, see above", failures.size()));
  }

  Status PrintJson() {
    Json list = Json::array();
    for (const auto& [alias, done] : outcomes_) {
      const auto& outcome = done.outcome;
      Json one = {{"dataset", alias}};
      if (!done.status.ok()) {
        one["status"] = "failed";
        one["code"] = InfoOf(done.status.error().code()).name;
        one["error"] = done.status.error().ToString();
      } else {
        one["status"] = outcome.updated ? "updated" : "up-to-date";
        one["hasSource"] = outcome.has_source;
        one["uncacheable"] = outcome.uncacheable;
        one["watermark"] = outcome.watermark ? Json(FormatInstant(*outcome.watermark)) : Json();
        one["notes"] = outcome.notes;
      }
      // Of a failure too: what was committed before it stays.
      if (outcome.old_head != multiformats::Multihash()) {
        one["oldHead"] = outcome.old_head.ToString();
        one["newHead"] = outcome.new_head.ToString();
        one["records"] = {{"read", outcome.records_read},
                          {"added", outcome.records_added},
                          {"skipped", outcome.records_skipped}};
      }
      list.push_back(std::move(one));
    }
    return session_.Out(list.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  }

  Session& session_;
  const PullArgs& args_;
  std::unique_ptr<workspace::Config> config_;
  std::unique_ptr<workspace::Secrets> secrets_;
  std::deque<poll::WorkspaceVariables> variables_;
  Mutex mutex_;  // of what the watcher's threads share
  workspace::Workspace* workspace_ = nullptr;
  std::vector<workspace::Entry> entries_;
  std::set<std::string> named_;  // entries that were not chosen by a pattern
  struct Done {
    Status status;
    poll::PullOutcome outcome;
  };
  std::map<std::string, Done> outcomes_;
};

}  // namespace

void AddPull(Commands& commands) {
  auto args = std::make_shared<PullArgs>();
  auto* command = commands.Add("pull", "Take what polling sources have published since the last time",
                               "sluice pull com.%",
                               [args](Session& session) { return PullCommand(session, *args).Run(); });
  command->add_option("dataset", args->datasets, "Names, ids, or patterns with %");
  command->add_flag("-a,--all", args->all, "All datasets of the workspace");
  command->add_flag("--fetch-uncacheable", args->fetch_uncacheable,
                    "Also sources that cannot tell whether they changed");
  command->add_flag("-r,--recursive", args->recursive,
                    "Of computed datasets, those that they are computed from");
  command->add_flag("-w,--watch", args->watch,
                    "Stay, and pull at the times of 'schedule:' in the configuration");
  command->add_option("--every", args->every,
                      "With --watch: this often, such as 15m, whatever the configuration says");
  command->add_flag("-f,--force", args->force, "Fetch again what has not changed");
  command->add_flag("--late", args->late, "Of file sources: files that came late or were changed");
  command
      ->add_option("--on-error", args->on_error,
                   "fail: one bad record refuses the input (default); skip: leave it out")
      ->check(CLI::IsMember({"fail", "skip"}));
  command->add_option("--rejects", args->rejects,
                      "With --on-error skip: append bad records and reasons to this file");
  command
      ->add_option("--on-duplicate", args->on_duplicate,
                   "Snapshot, a key twice in one input: last (default) or error")
      ->check(CLI::IsMember({"last", "error"}));
  command->add_option("--set-watermark", args->set_watermark, "Only set the watermark (RFC 3339)");
  command->add_option("-j,--jobs", args->jobs, "Datasets pulled at the same time (default 4)")
      ->check(CLI::Range(1, 64));
  command->add_option("-o,--output-format", args->format, "text (default) or json");
  command->add_option("--batch-rows", args->batch_rows, "Rows read at once")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->group("");
}

}  // namespace sluice::cli

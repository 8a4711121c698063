#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/pull_lines.h"
#include "cli/usage.h"
#include "poll/workspace_pull.h"

namespace sluice::cli {
namespace {

using Json = nlohmann::json;

struct PullArgs {
  std::vector<std::string> datasets;
  bool all = false, fetch_uncacheable = false, force = false, late = false;
  std::string set_watermark, format;
  int jobs = 4;
  int64_t batch_rows = read::ReadOptions().batch_rows;
};

class ProcessVariables final : public fetch::Variables {
 public:
  Result<std::optional<Value>> Find(const std::string& name) const override {
    const char* text = std::getenv(name.c_str());
    return text != nullptr ? std::optional(Value{text, true}) : std::optional<Value>();
  }
};

class PullCommand {
 public:
  PullCommand(Session& session, const PullArgs& args) : session_(session), args_(args) {}

  Status Run() {
    if (args_.all != args_.datasets.empty()) return UsageError("name the datasets, or give --all");
    if (!args_.format.empty() && args_.format != "json" && args_.format != "text")
      return UsageError("unknown output format '{}': text or json", args_.format);
    ASSIGN_OR_RETURN(workspace_, session_.OpenWorkspace());
    RETURN_IF_ERROR(Choose());
    if (!args_.set_watermark.empty()) return SetWatermark();
    return PullThem();
  }

 private:
  Status Choose() {
    if (args_.all) {
      ASSIGN_OR_RETURN(entries_, workspace_->List());
      return {};
    }
    for (const auto& ref : args_.datasets) {
      ASSIGN_OR_RETURN(auto found, workspace_->ResolvePattern(ref));
      for (auto& entry : found) {
        const bool twice =
            std::any_of(entries_.begin(), entries_.end(), [&](const auto& e) { return e.id == entry.id; });
        if (!twice) entries_.push_back(std::move(entry));
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
        poll::SetWatermark(held->target(), *time, std::string(odf::kPollingSourceName), session_.clock());
    if (!changed.ok()) return std::move(changed).error().With(fmt::format("dataset '{}'", entries_[0].alias));
    if (*changed) {
      session_.Say("Committed new block {}", held->target().dataset->head().ToShortString());
    } else {
      session_.Say("Watermark was up-to-date");
    }
    return {};
  }

  Result<poll::PullSettings> SettingsFor(const workspace::Entry&) const {
    poll::PullSettings settings;
    settings.http.user_agent = "sluice/" SLUICE_VERSION;
    settings.variables = &variables_;
    settings.clock = &session_.clock();
    settings.fetch_uncacheable = args_.fetch_uncacheable;
    settings.force = args_.force;
    settings.late = args_.late;
    settings.batch_rows = args_.batch_rows;
    settings.stop = session_.stop();
    return settings;
  }

  Status PullThem() {
    PullLines lines(session_.stderr_is_terminal() && !session_.no_color && !session_.quiet);
    poll::PullAllOptions options;
    options.jobs = args_.jobs;
    options.lock_timeout = LockTimeout();
    options.stop = session_.stop();
    options.settings_for = [this](const workspace::Entry& entry) { return SettingsFor(entry); };
    options.progress_for = [&](const workspace::Entry& entry) { return lines.For(entry.alias); };
    options.on_done = [&](const workspace::Entry& entry, const Result<poll::PullOutcome>& outcome) {
      lines.End(entry.alias);
      outcomes_.emplace(entry.alias, outcome);
      if (outcome.ok()) Report(entry.alias, *outcome);
    };
    poll::PullAll(workspace_->root(), entries_, options);
    lines.Clear();
    if (args_.format == "json") RETURN_IF_ERROR(PrintJson());
    return Conclude();
  }

  void Report(const std::string& alias, const poll::PullOutcome& outcome) {
    for (const auto& note : outcome.notes) session_.Say("{}: {}", alias, note);
    if (outcome.updated) {
      session_.Say("{}: {} records read, {} added", alias, outcome.records_read, outcome.records_added);
    }
    if (outcome.uncacheable) {
      session_.Say("{}: the source cannot tell whether it changed; --fetch-uncacheable downloads it again",
                   alias);
    }
  }

  Status Conclude() {
    size_t updated = 0, unchanged = 0;
    std::vector<std::pair<std::string, Error>> failures;
    for (const auto& [alias, outcome] : outcomes_) {
      if (!outcome.ok()) {
        failures.emplace_back(alias, outcome.error());
      } else {
        ++(outcome->updated ? updated : unchanged);
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
    for (const auto& [alias, outcome] : outcomes_) {
      Json one = {{"dataset", alias}};
      if (!outcome.ok()) {
        one["status"] = "failed";
        one["code"] = InfoOf(outcome.error().code()).name;
        one["error"] = outcome.error().ToString();
      } else {
        one["status"] = outcome->updated ? "updated" : "up-to-date";
        one["hasSource"] = outcome->has_source;
        one["uncacheable"] = outcome->uncacheable;
        one["oldHead"] = outcome->old_head.ToString();
        one["newHead"] = outcome->new_head.ToString();
        one["records"] = {{"read", outcome->records_read}, {"added", outcome->records_added}};
        one["watermark"] = outcome->watermark ? Json(FormatInstant(*outcome->watermark)) : Json();
        one["notes"] = outcome->notes;
      }
      list.push_back(std::move(one));
    }
    return session_.Out(list.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  }

  Session& session_;
  const PullArgs& args_;
  ProcessVariables variables_;
  workspace::Workspace* workspace_ = nullptr;
  std::vector<workspace::Entry> entries_;
  std::map<std::string, Result<poll::PullOutcome>> outcomes_;
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
  command->add_flag("-f,--force", args->force, "Fetch again what has not changed");
  command->add_flag("--late", args->late, "Of file sources: files that came late or were changed");
  command->add_option("--set-watermark", args->set_watermark, "Only set the watermark (RFC 3339)");
  command->add_option("-j,--jobs", args->jobs, "Datasets pulled at the same time (default 4)")
      ->check(CLI::Range(1, 64));
  command->add_option("-o,--output-format", args->format, "text (default) or json");
  command->add_option("--batch-rows", args->batch_rows, "Rows read at once")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->group("");
}

}  // namespace sluice::cli

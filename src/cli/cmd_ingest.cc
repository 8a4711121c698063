#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "cli/commands.h"
#include "cli/progress_bar.h"
#include "cli/usage.h"
#include "dataset/clock_check.h"
#include "ingest/file_sequence.h"
#include "ingest/ingest.h"
#include "odf/yaml.h"
#include "read/projection.h"

namespace sluice::cli {
namespace {

struct IngestArgs {
  std::string dataset;
  std::vector<std::string> files;
  std::string source_name, event_time, input_format;
  std::string state, if_state, state_kind;
  std::string on_error = "fail", rejects, on_duplicate = "last";
  bool use_stdin = false, recursive = false, again = false, atomic = false, dry_run = false,
       strict_columns = false;
  int64_t memory_mib = 256;
  int64_t batch_rows = read::ReadOptions().batch_rows;
};

// An empty value is most often a variable that was not set: it must not pass for an option that was not
// given.
CLI::Validator NotEmpty() {
  return CLI::Validator(
      [](std::string& text) { return text.empty() ? std::string("the value is empty") : std::string(); }, "");
}

// Files of a folder and its subfolders, by path.
Status Expand(const std::string& path, bool recursive, std::vector<std::string>* files) {
  namespace fs = std::filesystem;
  std::error_code error;
  const auto status = fs::status(path, error);
  if (!fs::exists(status)) return UsageError("no such file: '{}'", path);
  if (!fs::is_directory(status)) {
    files->push_back(path);
    return {};
  }
  if (!recursive) return UsageError("'{}' is a folder; --recursive takes the files in it", path);
  std::vector<std::string> found;
  for (fs::recursive_directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    const auto name = it->path().filename().string();
    const bool is_hidden = !name.empty() && name[0] == '.';
    if (is_hidden) it.disable_recursion_pending();
    if (!is_hidden && it->is_regular_file(error)) found.push_back(it->path().string());
  }
  if (error) return FromErrno(error.value(), fmt::format("cannot list folder '{}'", path));
  std::sort(found.begin(), found.end());
  files->insert(files->end(), found.begin(), found.end());
  return {};
}

// A pipe or a device can be read once, and has no content to compare.
bool IsRegularFile(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

// The file at `path`, or without one standard input; also by another name.
bool IsSameFile(const std::string* path, const std::string& other) {
  struct stat info, other_info;
  const bool known = path != nullptr ? stat(path->c_str(), &info) == 0 : fstat(STDIN_FILENO, &info) == 0;
  return known && S_ISREG(info.st_mode) && stat(other.c_str(), &other_info) == 0 &&
         info.st_dev == other_info.st_dev && info.st_ino == other_info.st_ino;
}

class IngestCommand {
 public:
  IngestCommand(Session& session, const IngestArgs& args) : session_(session), args_(args) {}

  Status Run() {
    RETURN_IF_ERROR(CheckArguments());
    ASSIGN_OR_RETURN(workspace_, session_.OpenWorkspace());
    ASSIGN_OR_RETURN(entry_, workspace_->Resolve(args_.dataset));
    ASSIGN_OR_RETURN(dataset_, workspace_->Open(entry_));
    RETURN_IF_ERROR(CheckDuplicatePolicy());
    if (const auto source = ingest::SelectPushSource(dataset_->state(), SourceName()); source.ok())
      session_.adds_to = source->name;
    if (const auto ahead = dataset::DescribeClockAhead(dataset_->state(), session_.clock()))
      session_.Warn("Note: " + *ahead);
    const auto policy = args_.on_error == "skip" ? ingest::OnError::kSkip : ingest::OnError::kFail;
    ASSIGN_OR_RETURN(scratch_, workspace_->MakeScratch(entry_.id));
    ASSIGN_OR_RETURN(rejects_, ingest::RejectLog::Open(policy, args_.rejects));
    auto status = args_.use_stdin ? IngestStdin() : IngestFiles();
    progress_.reset();
    if (!status.ok()) return std::move(status).error().With(fmt::format("dataset '{}'", entry_.alias));
    if (rejects_->count() > 0) {
      session_.Warn(
          fmt::format("{} bad record(s) left out{}", rejects_->count(),
                      args_.rejects.empty() ? "; --rejects FILE keeps them" : ", see " + args_.rejects));
    }
    if (args_.dry_run) {
      session_.Say(committed_ ? "Dry run: nothing was committed" : "Dry run: the dataset is up-to-date");
    } else {
      session_.Say(committed_ ? "Dataset updated" : "Dataset up-to-date");
    }
    return {};
  }

 private:
  Status CheckArguments() {
    if (args_.use_stdin != args_.files.empty()) return UsageError("give files or --stdin, one of the two");
    for (const auto& file : args_.files) RETURN_IF_ERROR(Expand(file, args_.recursive, &paths_));
    if (!args_.use_stdin && paths_.empty()) return UsageError("there are no files in the folders named");
    if (!args_.if_state.empty() && args_.state.empty()) return UsageError("--if-state needs --state");
    if (!args_.state_kind.empty() && args_.state.empty()) return UsageError("--state-kind needs --state");
    if (!args_.state.empty() && paths_.size() > 1) return UsageError("--state goes with one input");
    if (!args_.rejects.empty() && args_.on_error != "skip")
      return UsageError("--rejects goes with --on-error skip");
    for (const auto& path : paths_) {
      if (IsSameFile(&path, args_.rejects))
        return UsageError("--rejects would write into the input '{}': name another file", path);
    }
    if (args_.use_stdin && IsSameFile(nullptr, args_.rejects))
      return UsageError("--rejects would write into the input '{}': name another file", args_.rejects);
    if (!args_.event_time.empty()) {
      auto time = ParseInstant(args_.event_time);
      if (!time.ok()) return std::move(time).error().With("usage");
      event_time_ = *time;
    }
    if (!args_.input_format.empty()) {
      auto format = read::FormatByName(args_.input_format);
      if (!format.ok()) return std::move(format).error().With("usage");
      format_ = *format;
    }
    return {};
  }

  // Only a Snapshot is a state of the world in which a key twice is a contradiction.
  Status CheckDuplicatePolicy() const {
    if (args_.on_duplicate != "error") return {};
    ASSIGN_OR_RETURN(auto source, ingest::SelectPushSource(dataset_->state(), SourceName()));
    if (source.merge.kind == odf::MergeKind::kSnapshot) return {};
    return UsageError("--on-duplicate error goes with Snapshot sources; '{}' of dataset '{}' is none",
                      source.name, entry_.alias);
  }

  ingest::IngestContext Context() {
    return {dataset_.get(), [this] { return workspace_->BeginCommit(entry_.id); }, &session_.clock(),
            scratch_->folder()};
  }

  ingest::IngestOptions Options() {
    ingest::IngestOptions options;
    if (!args_.source_name.empty()) options.source_name = args_.source_name;
    options.refuse_duplicates = args_.on_duplicate == "error";
    options.dry_run = args_.dry_run;
    options.frame.read.stop = session_.stop();
    options.frame.read.spill_folder = scratch_->folder();
    options.frame.read.strict_columns = args_.strict_columns;
    options.frame.read.batch_rows = args_.batch_rows;
    options.frame.sql.spill_folder = scratch_->folder();
    options.spool_memory_bytes = args_.memory_mib << 20;
    progress_ =
        std::make_unique<ProgressBar>(session_.stderr_is_terminal() && !session_.no_color && !session_.quiet);
    options.frame.progress = progress_.get();
    return options;
  }

  ingest::IngestInput Input() const {
    ingest::IngestInput input;
    input.format = format_;
    input.event_time = event_time_;
    if (!args_.state.empty()) input.next_state = args_.state;
    if (!args_.if_state.empty()) input.if_state = args_.if_state;
    if (!args_.state_kind.empty()) input.state_kind = args_.state_kind;
    return input;
  }

  Status IngestStdin() {
    auto input = Input();
    input.open = [stop = session_.stop()]() -> Result<std::unique_ptr<read::ByteSource>> {
      return read::MakeFdSource(STDIN_FILENO, "standard input", stop);
    };
    std::vector<ingest::IngestInput> inputs;
    inputs.push_back(std::move(input));
    return Take(std::move(inputs), {});
  }

  // Append and ChangelogStream would take a repeated file twice; with several files a repeat must not replay
  // old ones (decisions.md 13).
  Result<bool> KeepsFileState() const {
    if (!args_.state.empty()) return false;
    ASSIGN_OR_RETURN(auto source, ingest::SelectPushSource(dataset_->state(), SourceName()));
    return paths_.size() > 1 || source.merge.kind == odf::MergeKind::kAppend ||
           source.merge.kind == odf::MergeKind::kChangelogStream;
  }
  std::optional<std::string> SourceName() const {
    return args_.source_name.empty() ? std::nullopt : std::optional(args_.source_name);
  }

  Status IngestFiles() {
    ingest::FileSequence files(paths_, session_.stop());
    ASSIGN_OR_RETURN(bool file_state, KeepsFileState());
    file_state = file_state && std::all_of(paths_.begin(), paths_.end(), IsRegularFile);
    size_t taken = 0;
    if (file_state && !args_.again) {
      ASSIGN_OR_RETURN(auto source, ingest::SelectPushSource(dataset_->state(), SourceName()));
      ASSIGN_OR_RETURN(taken, files.CountTaken(dataset_->state().push_sources.at(source.name).file_state));
      for (size_t i = 0; i < taken; ++i) {
        session_.Say("Skipped: {}: already ingested (--again takes it once more)", paths_[i]);
      }
    }
    std::vector<ingest::IngestInput> group;
    for (size_t i = taken; i < paths_.size(); ++i) {
      auto input = Input();
      input.replayable = IsRegularFile(paths_[i]);
      input.open = [&files, i] { return files.Open(i); };
      if (file_state) input.file_state = [&files, i] { return files.ValueAfter(i); };
      if (file_state && !args_.again) {
        input.is_taken = [&files, i](const std::optional<odf::SourceState>& newest) -> Result<bool> {
          ASSIGN_OR_RETURN(const size_t count, files.CountTaken(newest));
          return i < count;
        };
      }
      group.push_back(std::move(input));
      // A dry run shows each file on top of those before it.
      if (args_.atomic || args_.dry_run) continue;
      auto status = Take(std::move(group), {paths_[i]});
      group.clear();
      if (!status.ok()) return Stopped(std::move(status).error(), i, taken);
    }
    if (!group.empty())
      return Take(std::move(group), {paths_.begin() + static_cast<long>(taken), paths_.end()});
    return {};
  }

  Status Stopped(Error error, size_t failed, size_t taken) const {
    if (paths_.size() == 1) return error;
    return Error(
        error.code(),
        fmt::format("{}\n{} of {} files are in the dataset; repeating the command continues with '{}'",
                    error.ToString(), failed, paths_.size(), paths_[failed]));
  }

  Status Take(std::vector<ingest::IngestInput> inputs, const std::vector<std::string>& names) {
    const auto options = Options();
    ASSIGN_OR_RETURN(auto outcomes, ingest::Ingest(Context(), std::move(inputs), *rejects_, options));
    progress_->Clear();
    for (size_t i = 0; i < outcomes.size(); ++i)
      RETURN_IF_ERROR(Report(outcomes[i], i < names.size() ? names[i] : "standard input"));
    return {};
  }

  Status Report(const ingest::IngestOutcome& outcome, const std::string& name) {
    const auto& counts = outcome.counts;
    if (outcome.status == ingest::IngestStatus::kDuplicate && args_.state.empty()) {
      session_.Say("Skipped: {}: already ingested (--again takes it once more)", name);
    } else if (outcome.status == ingest::IngestStatus::kDuplicate) {
      session_.Say("{}: state '{}' is committed already, nothing was read again", name, args_.state);
    } else {
      std::string line =
          fmt::format("{}: {} records read, {} added", name, outcome.records_read, outcome.records_added);
      if (outcome.offsets)
        line += fmt::format(" (offsets {}..{})", outcome.offsets->start, outcome.offsets->end);
      if (counts.corrected + counts.retracted > 0) {
        line += fmt::format(": {} appended, {} corrected, {} retracted", counts.appended, counts.corrected,
                            counts.retracted);
      }
      session_.Say(line);
    }
    if (auto projection = read::DescribeProjection(outcome.projection); !projection.empty())
      session_.Say("{}: {}", name, projection);
    if (auto repeated = merge::DescribeDuplicates(counts); !repeated.empty())
      session_.Warn(fmt::format("{}: {}", name, repeated));
    if (outcome.status == ingest::IngestStatus::kCommitted) {
      committed_ = true;
      if (!args_.dry_run) session_.Say("Block #{}: {}", outcome.sequence, outcome.new_head.ToString());
    }
    if (args_.dry_run) {
      for (const auto& event : outcome.events) RETURN_IF_ERROR(session_.Out(odf::ToYaml(event)));
    }
    return {};
  }

  Session& session_;
  const IngestArgs& args_;
  workspace::Workspace* workspace_ = nullptr;
  workspace::Entry entry_;
  std::unique_ptr<workspace::Scratch> scratch_;
  std::unique_ptr<dataset::Dataset> dataset_;
  std::unique_ptr<ingest::RejectLog> rejects_;
  std::unique_ptr<ProgressBar> progress_;
  std::vector<std::string> paths_;
  std::optional<Instant> event_time_;
  std::optional<read::InputFormat> format_;
  bool committed_ = false;
};

}  // namespace

void AddIngest(Commands& commands) {
  auto args = std::make_shared<IngestArgs>();
  auto* command = commands.Add("ingest", "Take records from files or standard input into a dataset",
                               "sluice ingest readings monday.csv tuesday.csv",
                               [args](Session& session) { return IngestCommand(session, *args).Run(); });
  command->add_option("dataset", args->dataset, "The dataset")->required();
  command->add_option("file", args->files, "Files, one commit each, in this order");
  command->add_flag("--stdin", args->use_stdin, "Read standard input");
  command->add_option("--source-name", args->source_name, "Push source, needed when there are several")
      ->check(NotEmpty());
  command
      ->add_option("--event-time", args->event_time,
                   "Event time of records that have none (RFC 3339; default: now)")
      ->check(NotEmpty());
  command
      ->add_option("--input-format", args->input_format,
                   "csv, tsv, json, ndjson, geojson, ndgeojson, parquet; default: the source's")
      ->check(NotEmpty());
  command->add_flag("-r,--recursive", args->recursive, "Take the files of folders");
  command->add_flag("--atomic", args->atomic, "All files with one head move, or none");
  command
      ->add_option("--state", args->state,
                   "State of the source after this batch; the same again is not read twice")
      ->check(NotEmpty());
  command->add_option("--if-state", args->if_state, "Only when the source is at this state (* = none yet)")
      ->check(NotEmpty());
  command->add_option("--state-kind", args->state_kind, "Kind of the state (default sluice/token)")
      ->check(NotEmpty());
  command->add_flag("--again", args->again, "Take files that were ingested before");
  command
      ->add_option("--on-error", args->on_error,
                   "fail: one bad record refuses the input (default); skip: leave it out")
      ->check(CLI::IsMember({"fail", "skip"}));
  command
      ->add_option("--rejects", args->rejects,
                   "With --on-error skip: append bad records and reasons to this file")
      ->check(NotEmpty());
  command
      ->add_option("--on-duplicate", args->on_duplicate,
                   "Snapshot, a key twice in one input: last (default) or error")
      ->check(CLI::IsMember({"last", "error"}));
  command->add_flag("--strict-columns", args->strict_columns, "Refuse fields that the source does not know");
  command->add_flag("--dry-run", args->dry_run, "Show what would be committed");
  command
      ->add_option("--memory-mib", args->memory_mib,
                   "Rows, and a Ledger's keys, kept in memory before spilling to disk (default 256)")
      ->check(CLI::Range(int64_t{16}, int64_t{1} << 20));
  // For tests: what is committed must not depend on how the input is cut.
  command->add_option("--batch-rows", args->batch_rows, "Rows read at once")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->group("");
}

}  // namespace sluice::cli

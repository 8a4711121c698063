// The exactly-once loop of push-protocol.md 4 as a command.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "cli/commands.h"
#include "cli/node_client.h"
#include "cli/progress_bar.h"
#include "cli/usage.h"
#include "ingest/ingest.h"
#include "net/url.h"
#include "push/http_target.h"
#include "push/position.h"
#include "push/pusher.h"

namespace sluice::cli {
namespace {

using std::chrono::milliseconds;

struct PushArgs {
  std::string dataset;
  std::vector<std::string> files;
  std::string source_name, token, ca_file;
  bool follow = false, take_as_new = false, has_header = false;
  uint64_t batch_bytes = push::InputOptions().max_bytes;
  uint64_t batch_rows = push::InputOptions().max_rows;
  int64_t batch_age_ms = push::InputOptions().max_age.count();
  int64_t retry_seconds = 600;
};

std::string HeaderName(odf::ReadFormat format) { return std::string(odf::NameOf(format)); }

// Commits in this process, while no node runs.
class LocalTarget final : public push::Target {
 public:
  LocalTarget(Session& session, workspace::Workspace& workspace, workspace::Entry entry,
              std::optional<std::string> source)
      : session_(session), workspace_(workspace), entry_(std::move(entry)), source_(std::move(source)) {}

  Result<push::SourceInfo> Describe() override {
    RETURN_IF_ERROR(Open());
    ASSIGN_OR_RETURN(const auto source, ingest::SelectPushSource(dataset_->state(), source_));
    push::SourceInfo info{.name = source.name, .format = HeaderName(source.read.format)};
    info.merge = odf::NameOf(source.merge.kind);
    if (source.read.format == odf::ReadFormat::kCsv) info.has_header = source.read.header.value_or(false);
    info.accepted = StateOf(source.name);
    source_ = session_.adds_to = source.name;
    return info;
  }

  push::PushReply Push(const push::PushCall& call) override {
    push::PushReply reply;
    auto outcome = Take(call);
    if (outcome.ok()) {
      const bool is_known = outcome->status == ingest::IngestStatus::kDuplicate;
      reply.kind = is_known ? push::PushReply::Kind::kDuplicate : push::PushReply::Kind::kTaken;
      reply.added = static_cast<uint64_t>(outcome->records_added);
      return reply;
    }
    reply.error = outcome.error();
    const ErrorCode code = reply.error.code();
    // Whatever happened, the next try looks at the dataset anew.
    dataset_.reset();
    if (code == ErrorCode::kPrecondition && Open().ok()) {
      reply.kind = push::PushReply::Kind::kBehind;
      reply.accepted = StateOf(*source_);
    } else if (code != ErrorCode::kCommitUnknown && !IsRetryable(code)) {
      reply.kind = push::PushReply::Kind::kRefused;
    }
    return reply;
  }

 private:
  Status Open() {
    ASSIGN_OR_RETURN(dataset_, workspace_.Open(entry_));
    if (scratch_ == nullptr) {
      ASSIGN_OR_RETURN(scratch_, workspace_.MakeScratch(entry_.id));
    }
    return {};
  }

  std::optional<push::State> StateOf(const std::string& name) const {
    const auto found = dataset_->state().push_sources.find(name);
    if (found == dataset_->state().push_sources.end() || !found->second.state) return std::nullopt;
    return push::State{found->second.state->kind, found->second.state->value};
  }

  Result<ingest::IngestOutcome> Take(const push::PushCall& call) {
    if (dataset_ == nullptr) RETURN_IF_ERROR(Open());
    ingest::IngestInput input;
    input.replayable = true;
    input.open = [body = std::make_shared<const std::string>(call.body)]() {
      return Result<std::unique_ptr<read::ByteSource>>(read::MakeSharedSource(body, "batch"));
    };
    input.if_state = call.if_state;
    input.next_state = call.next_state;
    input.state_kind = push::kPositionKind;
    std::vector<ingest::IngestInput> inputs;
    inputs.push_back(std::move(input));
    ingest::IngestOptions options;
    options.source_name = source_;
    options.frame.read.stop = session_.stop();
    options.frame.read.spill_folder = scratch_->folder();
    options.frame.sql.spill_folder = scratch_->folder();
    ASSIGN_OR_RETURN(auto rejects, ingest::RejectLog::Open(ingest::OnError::kFail, ""));
    const ingest::IngestContext context{dataset_.get(), [this] { return workspace_.BeginCommit(entry_.id); },
                                        &session_.clock(), scratch_->folder()};
    ASSIGN_OR_RETURN(auto outcomes, ingest::Ingest(context, std::move(inputs), *rejects, options));
    return std::move(outcomes.front());
  }

  Session& session_;
  workspace::Workspace& workspace_;
  const workspace::Entry entry_;
  std::optional<std::string> source_;
  std::unique_ptr<dataset::Dataset> dataset_;  // null after a failure
  std::unique_ptr<workspace::Scratch> scratch_;
};

// A dataset of this workspace: through its node while one runs, in this process while none does. Either may
// begin or end at any time; the states are the same.
class WorkspaceTarget final : public push::Target {
 public:
  WorkspaceTarget(Session& session, workspace::Workspace& workspace, workspace::Entry entry,
                  std::optional<std::string> source)
      : session_(session),
        workspace_(workspace),
        entry_(entry),
        source_(source),
        local_(session, workspace, std::move(entry), std::move(source)) {}

  Result<push::SourceInfo> Describe() override {
    RETURN_IF_ERROR(Choose());
    ASSIGN_OR_RETURN(push::SourceInfo info, node_ != nullptr ? node_->Describe() : local_.Describe());
    source_ = info.name;
    return info;
  }

  push::PushReply Push(const push::PushCall& call) override {
    // Asking a node whether it lives costs a call: its own answers say so as well.
    if (!is_node_good_) {
      if (const Status chosen = Choose(/*describe=*/true); !chosen.ok()) {
        push::PushReply reply;
        reply.error = chosen.error();
        return reply;
      }
    }
    if (node_ == nullptr) return local_.Push(call);
    push::PushReply reply = node_->Push(call);
    is_node_good_ = reply.kind != push::PushReply::Kind::kLater;
    return reply;
  }

 private:
  // Errors: kUnavailable for a node that is there and silent.
  Status Choose(bool describe = false) {
    const auto found = FindNode(workspace_, SilenceOf(session_));
    is_node_good_ = found.ok();
    if (!found.ok()) {
      if (found.error().code() != ErrorCode::kNotFound) return found.error();
      node_.reset();
      if (describe && !is_local_ready_) RETURN_IF_ERROR(local_.Describe());
      is_local_ready_ = true;
      return {};
    }
    if (node_ == nullptr) {
      ASSIGN_OR_RETURN(node_,
                       push::MakeHttpTarget({.url = found->url + "/" + net::PercentEncode(entry_.alias, true),
                                             .unix_socket = found->unix_socket,
                                             .source = source_},
                                            session_.stop()));
      if (describe) RETURN_IF_ERROR(node_->Describe());
    }
    return {};
  }

  Session& session_;
  workspace::Workspace& workspace_;
  const workspace::Entry entry_;
  std::optional<std::string> source_;
  LocalTarget local_;
  std::unique_ptr<push::Target> node_;  // null while none runs
  bool is_node_good_ = false;
  bool is_local_ready_ = false;
};

class PushCommand {
 public:
  PushCommand(Session& session, const PushArgs& args)
      : session_(session),
        args_(args),
        progress_(session.stderr_is_terminal() && !session.no_color && !session.quiet) {}

  Status Run() {
    RETURN_IF_ERROR(CheckArguments());
    ASSIGN_OR_RETURN(const auto target, MakeTarget());
    push::PushOptions options;
    options.take_as_new = args_.take_as_new;
    options.retry_for = std::chrono::seconds(args_.retry_seconds);
    const push::PushEvents events = Events();
    ASSIGN_OR_RETURN(const auto source, push::DescribeSource(*target, options, events, session_.stop()));
    ASSIGN_OR_RETURN(const auto input, OpenInput(source));
    progress_.OnInput(paths_.size() == 1 ? paths_[0] : fmt::format("{} files", paths_.size()),
                      input->total_bytes());
    auto report = push::PushAll(*target, source, *input, options, events, session_.stop());
    progress_.Clear();
    if (!report.ok()) {
      if (total_.batches > 0) Say(total_);
      return std::move(report).error();
    }
    Say(*report);
    return {};
  }

 private:
  Status CheckArguments() {
    paths_ = args_.files;
    if (paths_.empty()) paths_ = {"-"};
    const bool has_stdin = std::ranges::find(paths_, "-") != paths_.end();
    if (has_stdin && paths_.size() > 1) return UsageError("standard input goes alone");
    if (has_stdin && args_.files.empty() && ::isatty(STDIN_FILENO) != 0)
      return UsageError("give files, or pipe records into standard input");
    if (args_.follow && has_stdin) return UsageError("--follow takes a file; a pipe is followed by itself");
    return {};
  }

  Result<std::unique_ptr<push::Target>> MakeTarget() {
    const auto source = args_.source_name.empty() ? std::nullopt : std::optional(args_.source_name);
    if (args_.dataset.find("://") != std::string::npos) {
      return push::MakeHttpTarget(
          {.url = args_.dataset, .token = args_.token, .source = source, .ca_file = args_.ca_file},
          session_.stop());
    }
    ASSIGN_OR_RETURN(auto* workspace, session_.OpenWorkspace());
    ASSIGN_OR_RETURN(auto entry, workspace->Resolve(args_.dataset));
    return std::unique_ptr<push::Target>(
        std::make_unique<WorkspaceTarget>(session_, *workspace, std::move(entry), source));
  }

  Result<std::unique_ptr<push::Input>> OpenInput(const push::SourceInfo& source) {
    push::InputOptions options;
    if (source.merge == odf::NameOf(odf::MergeKind::kSnapshot)) {
      return Unsupported(
          "source '{}' has the Snapshot strategy: each batch is the whole of what there is, and push would send "
          "it in parts; use 'sluice ingest', or one request: curl --data-binary @FILE URL/ingest",
          source.name);
    }
    if (args_.has_header && source.has_header == false) {
      return UsageError(
          "source '{}' reads CSV without a header: --header would push it as a record before each batch; "
          "leave the option out, or add the source with 'header: true'",
          source.name);
    }
    if (source.format == HeaderName(odf::ReadFormat::kCsv)) {
      options.format = push::RecordFormat::kCsv;
      options.has_header = args_.has_header || source.has_header.value_or(false);
    } else if (!source.format.starts_with("Nd")) {
      return Unsupported(
          "source '{}' reads {}, a document as a whole; push takes records that end with a line (NdJson, "
          "NdGeoJson, Csv): use 'sluice ingest'",
          source.name, source.format);
    }
    options.follow = args_.follow;
    options.max_bytes = args_.batch_bytes;
    options.max_rows = args_.batch_rows;
    options.max_age = milliseconds(args_.batch_age_ms);
    return push::Input::Open(paths_, options, session_.stop());
  }

  push::PushEvents Events() {
    push::PushEvents events;
    events.on_batch = [this](const push::PushReport& report) {
      total_ = report;
      progress_.OnRead(report.bytes, static_cast<int64_t>(report.rows));
    };
    events.on_retry = [this](const Error& why, milliseconds pause) {
      progress_.Clear();
      // Once for each trouble, not for each try.
      if (why.message() != last_trouble_)
        session_.Say("{}; trying again in {:.1f} s", why.ToString(),
                     static_cast<double>(pause.count()) / 1000);
      last_trouble_ = why.message();
    };
    return events;
  }

  void Say(const push::PushReport& report) {
    if (report.batches == 0) return session_.Say("Nothing new to push");
    session_.Say(
        "Pushed {} record(s) in {} batch(es), {} added{}{}", report.rows, report.batches, report.added,
        report.duplicates > 0 ? fmt::format(", {} batch(es) were there already", report.duplicates) : "",
        report.retries > 0 ? fmt::format(", {} call(s) repeated", report.retries) : "");
  }

  Session& session_;
  const PushArgs& args_;
  ProgressBar progress_;
  std::vector<std::string> paths_;
  push::PushReport total_;
  std::string last_trouble_;
};

}  // namespace

void AddPush(Commands& commands) {
  auto args = std::make_shared<PushArgs>();
  auto* push = commands.Add("push", "Push records exactly once, resuming by itself",
                            "sluice push events app.log --follow",
                            [args](Session& session) { return PushCommand(session, *args).Run(); });
  push->add_option("dataset", args->dataset,
                   "The dataset, or its URL on a node: https://host/account/dataset")
      ->required();
  push->add_option("files", args->files, "Files in order, or - (default: standard input)");
  push->add_option("--source", args->source_name, "The push source, where there are several");
  push->add_option("--token", args->token, "Access token (default: SLUICE_TOKEN)")->envname("SLUICE_TOKEN");
  push->add_option("--ca-file", args->ca_file, "Certificates to trust instead of the system's");
  push->add_flag(
      "--follow", args->follow,
      "Go on with what is written to the last file, also over rotation: a rotated file is read until "
      "nobody has it open for writing, or has written to it for 5 s");
  push->add_flag("--new", args->take_as_new,
                 "Push the files from their beginning, whatever the source's state says");
  push->add_flag("--header", args->has_header,
                 "The first record of each file is a header (default: as the source reads)");
  push->add_option("--batch-bytes", args->batch_bytes, "Bytes a batch may have (default 1048576)")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 30));
  push->add_option("--batch-rows", args->batch_rows, "Records a batch may have (default 10000)")
      ->check(CLI::Range(uint64_t{1}, uint64_t{10'000'000}));
  push->add_option("--batch-age", args->batch_age_ms, "Milliseconds a record waits for others (default 1000)")
      ->check(CLI::Range(int64_t{0}, int64_t{3'600'000}));
  push->add_option("--retry-for", args->retry_seconds, "Seconds to try a batch for (default 600)")
      ->check(CLI::Range(int64_t{0}, int64_t{31'536'000}));
}

}  // namespace sluice::cli

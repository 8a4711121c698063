#include "poll/pull.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/cancel.h"
#include "dataset/clock_check.h"
#include "fetch/prepare.h"
#include "ingest/ingest.h"
#include "ingest/slice_builder.h"
#include "read/projection.h"

namespace sluice::poll {
namespace {

constexpr int kTries =
    3;  // of reading again what changed while it came, and of polling again what others did

fetch::FetchContext ContextOf(const PullTarget& target, const PullSettings& settings,
                              fetch::Progress* progress) {
  fetch::FetchContext context;
  context.variables = settings.variables;
  context.clock = settings.clock;
  context.http = settings.http;
  context.may = settings.may;
  context.limits = settings.limits;
  context.commands = settings.commands;
  context.base_folder = settings.base_folder;
  context.savepoint_folder = target.savepoint_folder;
  context.taken_files_path = target.taken_files_path;
  context.progress = progress;
  context.stop = settings.stop;
  return context;
}

fetch::PrepareOptions PrepareOptionsOf(const PullTarget& target, const PullSettings& settings) {
  fetch::PrepareOptions options;
  options.limits = settings.limits;
  options.spill_folder = target.scratch_folder;
  options.base_folder = settings.base_folder;
  options.may_run_commands = settings.may.commands;
  options.stop = settings.stop;
  return options;
}

// An input as the reader sees it: prepared, and looked at for pages about errors. `is_page` is set by one.
Result<std::unique_ptr<read::ByteSource>> OpenPrepared(const fetch::FetchedInput& input,
                                                       const odf::SetPollingSource& source,
                                                       const fetch::PrepareOptions& options, bool* is_page) {
  ASSIGN_OR_RETURN(auto bytes, input.open());
  fetch::PrepareOptions its = options;
  its.decoded = input.decoded;
  its.keep.identity = input.identity;
  if (!input.from_server) return fetch::Prepare(source.prepare, std::move(bytes), its);
  return fetch::PrepareAnswer(source, std::move(bytes), input.media_type, its, is_page);
}

// What a server answers may repeat what it was asked with.
Error WithoutSecrets(const std::vector<fetch::FetchedInput>& inputs, const Error& error) {
  return inputs.front().redactor ? inputs.front().redactor->Clean(error) : error;
}

class Puller {
 public:
  Puller(const PullTarget& target, const PullSettings& settings, PullProgress* progress, PullOutcome* outcome)
      : target_(target),
        settings_(settings),
        progress_(progress),
        context_(ContextOf(target, settings, progress)),
        outcome_(*outcome) {}

  Status Run() {
    outcome_ = {};
    outcome_.old_head = target_.dataset->head();
    if (const auto ahead = dataset::DescribeClockAhead(target_.dataset->state(), *settings_.clock))
      Note(*ahead);
    auto status = Repeat();
    outcome_.new_head = target_.dataset->head();
    outcome_.watermark = target_.dataset->state().watermark();
    if (status.ok() || !outcome_.updated) return status;
    const auto& cause = status.error();
    Error error(cause.code(), fmt::format("{}\n{} records of {} inputs before it were committed",
                                          cause.message(), outcome_.records_added, outcome_.inputs));
    for (const auto& line : cause.context()) error.With(line);
    return error;
  }

 private:
  Status Repeat() {
    int overtaken = 0;
    while (true) {
      RETURN_IF_ERROR(CheckCancelled(settings_.stop));
      RETURN_IF_ERROR(target_.dataset->Refresh());
      if (!target_.dataset->state().polling_source) {
        outcome_.has_source = false;
        break;
      }
      auto more = Iterate();
      if (!more.ok() && more.error().code() == ErrorCode::kPrecondition && ++overtaken < kTries) continue;
      if (!more.ok()) return std::move(more).error();
      outcome_.has_more = *more;
      if (!*more || settings_.once) break;
    }
    return {};
  }

  void Stage(const char* name) const {
    if (progress_ != nullptr) progress_->OnStage(name);
  }

  fetch::FetchRequest RequestFor(const odf::ChainState& state) const {
    const auto& source = *state.polling_source;
    fetch::FetchRequest request;
    request.step = source.event.fetch;
    request.previous = source.state;
    request.rows = RowsOf(state);
    request.polled_before = source.polled;
    request.fetch_uncacheable = settings_.fetch_uncacheable;
    request.late = settings_.late;
    request.late_taken = late_taken_;
    request.max_files = settings_.max_files;
    // Only the first time round: else there would be no end to it.
    request.force = settings_.force && outcome_.inputs == 0;
    return request;
  }

  // Once, however often it is said.
  void Note(std::string note) {
    auto& notes = outcome_.notes;
    if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(std::move(note));
  }

  // True when there is more.
  Result<bool> Iterate() {
    const auto& state = target_.dataset->state();
    Stage("checking for updates");
    ASSIGN_OR_RETURN(auto fetched, fetch::Fetch(RequestFor(state), context_));
    for (auto& note : fetched.notes) outcome_.notes.push_back(std::move(note));
    outcome_.uncacheable = fetched.uncacheable;
    if (fetched.inputs.empty()) {
      if (!fetched.uncacheable) {
        RETURN_IF_ERROR(target_.dataset->EnsureDurable());  // "up to date" is an acknowledgement
        RETURN_IF_ERROR(fetch::DropSavepoints(target_.savepoint_folder));
      }
      return false;
    }
    auto taken = Take(fetched, *state.polling_source);
    if (!taken.ok()) {
      // What failed for another reason (a lock, a stop) is good enough for the next time.
      const auto code = taken.error().code();
      // A page about an error is asked for again: the server may do better next time.
      const bool refused = is_page_ || (!IsRetryable(code) && code != ErrorCode::kCancelled);
      if (refused && fetched.on_refused) fetched.on_refused();
      // On a full disk it may be what fills it.
      if (refused || code == ErrorCode::kResourceExhausted) fetch::DropPrepared(target_.savepoint_folder);
      return WithoutSecrets(fetched.inputs, taken.error());
    }
    if (fetched.on_committed) RETURN_IF_ERROR(fetched.on_committed(*taken));
    for (size_t i = 0; settings_.late && i < taken->size(); ++i) late_taken_.insert(fetched.inputs[i].name);
    // Committed: nothing of it is needed again.
    const bool has_more = fetched.has_more || taken->size() < fetched.inputs.size();
    fetched = {};
    RETURN_IF_ERROR(fetch::DropSavepoints(target_.savepoint_folder));
    return has_more;
  }

  static uint64_t RowsOf(const odf::ChainState& state) {
    const auto last = state.last_offset();
    return last ? *last + 1 : 0;
  }

  // Reads and commits; once more when the content changed on its way. Of each input that was taken, how many
  // rows the dataset had after it.
  Result<std::vector<uint64_t>> Take(const fetch::Fetched& fetched,
                                     const odf::ChainState::PollingSource& at) {
    for (int attempt = 1;; ++attempt) {
      auto taken = TakeOnce(fetched, at);
      const auto& first = fetched.inputs.front();
      const bool changed = !taken.ok() && taken.error().code() == ErrorCode::kConflict && first.has_changed &&
                           first.has_changed();
      if (!changed || attempt == kTries) return taken;
      RETURN_IF_ERROR(first.state());  // why the download failed, if it did
    }
  }

  Result<std::vector<uint64_t>> TakeOnce(const fetch::Fetched& fetched,
                                         const odf::ChainState::PollingSource& at) {
    std::vector<uint64_t> rows_after;
    uint64_t rows = RowsOf(target_.dataset->state());
    auto prepare = PrepareOptionsOf(target_, settings_);
    prepare.keep.folder = target_.savepoint_folder;
    prepare.keep.clock = settings_.clock;
    prepare.keep.tell = [this](std::string note) { Note(std::move(note)); };
    std::vector<ingest::IngestInput> inputs;
    for (const auto& one : fetched.inputs) {
      std::error_code error;
      if (!settings_.rejects_path.empty() &&
          std::filesystem::equivalent(one.name, settings_.rejects_path, error))
        return InvalidArgument("--rejects would write into the input '{}': name another file", one.name);
      ingest::IngestInput input;
      input.replayable = true;
      input.event_time = one.event_time;
      input.open = [this, &one, &at, &prepare] { return OpenPrepared(one, at.event, prepare, &is_page_); };
      input.polled_state = one.state;
      input.with_next = one.with_next;
      inputs.push_back(std::move(input));
    }
    ingest::IngestOptions options;
    options.refuse_duplicates = settings_.refuse_duplicates;
    options.polling =
        ingest::PollingOptions{settings_.state_name, at, fetched.before_commit, settings_.max_rows};
    options.frame.read.stop = settings_.stop;
    options.frame.read.spill_folder = target_.scratch_folder;
    options.frame.read.batch_rows = settings_.batch_rows;
    options.frame.sql.spill_folder = target_.scratch_folder;
    options.frame.progress = progress_;
    options.spool_memory_bytes = settings_.spool_memory_bytes;
    const ingest::IngestContext context{target_.dataset, target_.begin_commit, settings_.clock,
                                        target_.scratch_folder};
    ASSIGN_OR_RETURN(auto rejects, ingest::RejectLog::Open(settings_.on_error, settings_.rejects_path));
    ASSIGN_OR_RETURN(auto outcomes, ingest::Ingest(context, std::move(inputs), *rejects, options));
    for (const auto& one : outcomes) {
      if (one.offsets) rows = std::max(rows, one.offsets->end + 1);
      rows_after.push_back(rows);
      outcome_.updated = outcome_.updated || one.status == ingest::IngestStatus::kCommitted;
      outcome_.records_read += one.records_read;
      outcome_.records_added += one.records_added;
      ++outcome_.inputs;
      auto projection = read::DescribeProjection(one.projection);
      if (!projection.empty()) Note(std::move(projection));
      if (auto repeated = merge::DescribeDuplicates(one.counts); !repeated.empty()) Note(std::move(repeated));
    }
    outcome_.records_skipped += rejects->count();
    return rows_after;
  }

  const PullTarget& target_;
  const PullSettings& settings_;
  PullProgress* progress_;
  const fetch::FetchContext context_;
  PullOutcome& outcome_;
  std::set<std::string> late_taken_;
  bool is_page_ = false;  // what the server sent, instead of data
};

}  // namespace

Status Pull(const PullTarget& target, const PullSettings& settings, PullProgress* progress,
            PullOutcome* outcome) {
  return Puller(target, settings, progress, outcome).Run();
}

namespace {

// As the merge of a pull would: there the event time is always a column.
Status CheckMerge(const odf::SetPollingSource& source, const odf::Vocabulary& vocabulary,
                  const arrow::Schema& schema) {
  arrow::FieldVector fields = schema.fields();
  if (schema.GetFieldIndex(vocabulary.event_time) < 0)
    fields.push_back(arrow::field(vocabulary.event_time, arrow::timestamp(arrow::TimeUnit::MILLI, "UTC")));
  return merge::CheckColumns(source.merge, *arrow::schema(std::move(fields)));
}

// The first rows of `input`. Bad records are described as they are.
Status ReadSample(const fetch::FetchedInput& input, const odf::SetPollingSource& source,
                  const odf::ChainState& state, const PullTarget& target, const PullSettings& settings,
                  int64_t max_rows, Sample* sample) {
  const auto prepare = PrepareOptionsOf(target, settings);
  bool is_page = false;
  ASSIGN_OR_RETURN(auto bytes, OpenPrepared(input, source, prepare, &is_page));
  ingest::FrameOptions options;
  options.read.stop = settings.stop;
  options.read.spill_folder = target.scratch_folder;
  options.read.batch_rows = std::min<int64_t>(settings.batch_rows, std::max<int64_t>(1, max_rows));
  options.sql.spill_folder = target.scratch_folder;
  const ingest::SourceDefinition definition{settings.state_name, source.read, source.preprocess,
                                            source.merge};
  ASSIGN_OR_RETURN(auto rejects, ingest::RejectLog::Open(ingest::OnError::kSkip, ""));
  ASSIGN_OR_RETURN(auto frame, ingest::Frame::Open(definition, state, std::move(bytes), std::nullopt,
                                                   rejects.get(), options));
  sample->schema = frame->schema();
  if (sample->schema) RETURN_IF_ERROR(CheckMerge(source, state.vocabulary, *sample->schema));
  sample->projection = frame->projection();
  for (int64_t rows = 0; sample->schema && rows < max_rows;) {
    ASSIGN_OR_RETURN(auto batch, frame->Next());
    if (!batch) break;
    if (batch->num_rows() > max_rows - rows) batch = batch->Slice(0, max_rows - rows);
    rows += batch->num_rows();
    sample->rows.push_back(std::move(batch));
  }
  sample->rejects_count = rejects->count();
  for (const auto& reject : rejects->first()) sample->rejects.push_back(ingest::Describe(reject));
  return {};
}

}  // namespace

Result<Sample> Preview(const odf::SetPollingSource& source, const odf::Vocabulary& vocabulary,
                       const PullTarget& target, const PullSettings& settings, int64_t max_rows) {
  const auto context = ContextOf(target, settings, nullptr);
  fetch::FetchRequest request;
  request.step = source.fetch;
  request.max_files = 1;
  ASSIGN_OR_RETURN(const auto fetched, fetch::Fetch(request, context));
  if (fetched.inputs.empty()) return NotFound("the source has nothing to show");
  const auto& input = fetched.inputs.front();
  Sample sample;
  sample.input = input.name;
  odf::ChainState state;
  state.vocabulary = vocabulary;
  const auto status = ReadSample(input, source, state, target, settings, max_rows, &sample);
  if (!status.ok()) return WithoutSecrets(fetched.inputs, status.error());
  if (input.redactor) {
    for (auto& reject : sample.rejects) reject = input.redactor->Clean(reject);
  }
  return sample;
}

Result<bool> SetWatermark(const PullTarget& target, Instant watermark, const std::string& state_name,
                          const Clock& clock) {
  ASSIGN_OR_RETURN(auto session, target.begin_commit());
  RETURN_IF_ERROR(target.dataset->Refresh());
  const auto& state = target.dataset->state();
  if (state.kind != odf::DatasetKind::kRoot)
    return InvalidArgument("the watermark of a derivative dataset comes from its inputs");
  const auto now = state.watermark();
  if (now == watermark) return false;
  if (now && watermark < *now) {
    return InvalidArgument("the watermark {} is before the present one, {}", FormatInstant(watermark),
                           FormatInstant(*now));
  }
  std::optional<odf::SourceState> source_state;
  if (state.polling_source && state.polling_source->state) {
    source_state = state.polling_source->state;
    source_state->source_name = state_name;
  }
  odf::AddData data = ingest::MakeAddData(state, std::nullopt, std::nullopt, std::move(source_state));
  data.new_watermark = watermark;
  dataset::CommitRequest request;
  request.events.emplace_back(std::move(data));
  request.system_time = target.dataset->NextSystemTime(clock);
  RETURN_IF_ERROR(target.dataset->Commit(std::move(request)));
  return true;
}

}  // namespace sluice::poll

#include "ingest/ingest.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <map>

#include "base/cancel.h"
#include "ingest/frame_plan.h"
#include "ingest/index_sync.h"
#include "ingest/key_file.h"
#include "ingest/linked_objects.h"
#include "ingest/slice_builder.h"
#include "ingest/source_state.h"
#include "ingest/spool.h"
#include "odf/arrow_schema.h"

namespace sluice::ingest {
namespace {

constexpr size_t kOwnBlocks = 16;  // so many inputs of a polling source keep a block each
constexpr int kTries = 3;          // of preparing again, when the source changed underneath

// An input that is read and shaped. Rows are in the spool, or still to come from the frame when the merge
// needs no history.
struct PreparedBatch {
  std::unique_ptr<Frame> frame;  // null when the input is in the dataset already
  std::unique_ptr<Spool> spool;
  std::shared_ptr<arrow::Schema> realigned;  // of the spool, when it is not the frame's any more

  // Null = no frame (odf-ingest.md 4.6).
  std::shared_ptr<arrow::Schema> schema() const {
    return realigned ? realigned : frame ? frame->schema() : nullptr;
  }
  Status ForEach(const std::function<Status(const std::shared_ptr<arrow::RecordBatch>&)>& visit) {
    if (spool) return spool->Replay(visit);
    while (true) {
      ASSIGN_OR_RETURN(auto rows, frame->Next());
      if (!rows) return {};
      RETURN_IF_ERROR(visit(rows));
    }
  }
};

// What one batch of the group comes to.
struct MergedBatch {
  std::optional<BuiltSlice> slice;
  std::shared_ptr<arrow::Schema> schema;  // of the slice, also when there are no rows; null without a frame
  merge::MergeCounts counts;
  std::optional<std::string> extra;
};

class Ingestion {
 public:
  Ingestion(const IngestContext& context, std::vector<IngestInput> inputs, RejectLog& rejects,
            const IngestOptions& options)
      : context_(context),
        inputs_(std::move(inputs)),
        rejects_(rejects),
        options_(options),
        dataset_(*context.dataset),
        key_files_(std::make_unique<KeyFiles>(context.temp_folder)) {}

  Result<std::vector<IngestOutcome>> Run();

 private:
  Result<SourceDefinition> SelectSource(const odf::ChainState& state) const;
  // Compares the states of the inputs with those of the dataset.
  Status FindTakenInputs();
  bool AllTaken() const { return std::find(taken_.begin(), taken_.end(), false) == taken_.end(); }
  Result<std::vector<IngestOutcome>> Duplicates();
  Status Prepare();
  Status ReadIntoSpool(PreparedBatch& batch, int64_t memory_bytes) const;
  Result<PreparedBatch> PrepareInput(size_t i, int64_t memory_bytes, std::optional<odf::DataSchema>* schema);
  // Polling: whether the inputs after `i` can wait for a commit of their own.
  bool CanEndAfter(size_t i) const {
    return options_.polling && i + 1 < inputs_.size() && !inputs_[i].with_next;
  }
  void LeaveFrom(size_t i);
  // A dataset without a schema gets it from its first frame; the group's other frames have to fit that.
  Result<odf::DataSchema> PlannedSchema(const PreparedBatch& batch) const;
  Result<std::unique_ptr<merge::Merger>> MakeMerger(const std::shared_ptr<arrow::Schema>& input,
                                                    merge::KeyHistory* history) const;
  bool NeedsHistory() const { return merge::NeedOf(source_.merge.kind) != merge::HistoryNeed::kNone; }
  // Whether the merge may run before the locks are taken: it asks nothing of history, or there is none yet
  // and the input can be read again should that change.
  bool MergesEarly() const {
    return !NeedsHistory() || (inputs_.size() == 1 && inputs_[0].replayable && !prepared_for_.last_offset());
  }
  bool PreparedFor(const odf::ChainState& state) const;
  // Whether all that changed is that the dataset got its first schema: what was read can be brought to it.
  bool OnlyGainedSchema(const odf::ChainState& state) const;
  Status RealignSpool();
  Result<std::vector<IngestOutcome>> RunOnce(bool* again);
  Status MergeAgain(index::GuardedIndex* session, bool moved, bool taken_changed,
                    std::vector<MergedBatch>* merged);
  Status MergeAll(index::GuardedIndex* session, std::vector<MergedBatch>* merged);
  // Many small inputs of a polling source share one slice and one block, which carries the last one's state.
  bool Folds() const {
    return options_.polling && inputs_.size() > kOwnBlocks && source_.merge.kind != odf::MergeKind::kSnapshot;
  }
  Result<std::unique_ptr<SliceBuilder>> MakeBuilder(const merge::Merger& merger, const std::string& input,
                                                    Instant system_time, uint64_t start_offset,
                                                    const std::optional<odf::DataSchema>& schema);
  Status MergeInto(SliceBuilder& builder, LinkedObjects& links, merge::Merger* merger, PreparedBatch& batch,
                   Instant fallback);
  Result<MergedBatch> MergeOne(merge::Merger* merger, PreparedBatch& batch, const IngestInput& input,
                               Instant system_time, uint64_t start_offset,
                               const std::optional<odf::DataSchema>& schema);
  Status RestampFirst(std::vector<MergedBatch>* merged);
  Result<std::vector<IngestOutcome>> Commit(std::vector<MergedBatch> merged, index::GuardedIndex& session);
  Status AddEvents(const IngestInput& input, MergedBatch& merged, odf::ChainState* chain,
                   std::vector<odf::MetadataEvent>* events) const;
  Status TellBeforeCommit() const;
  IngestOutcome Unchanged(IngestStatus status) const;

  const IngestContext& context_;
  std::vector<IngestInput> inputs_;
  RejectLog& rejects_;
  const IngestOptions& options_;
  dataset::Dataset& dataset_;
  const std::unique_ptr<KeyFiles> key_files_;

  SourceDefinition source_;
  odf::ChainState prepared_for_;  // the state that frames and merges were made against
  Instant system_time_;
  std::map<std::optional<read::InputFormat>, std::shared_ptr<FramePlan>> plans_;
  std::vector<PreparedBatch> batches_;
  std::vector<bool> taken_;           // inputs that are in the dataset already
  std::vector<bool> prepared_taken_;  // those that were when the others were read
  RejectLog::Mark start_;
};

Result<SourceDefinition> Ingestion::SelectSource(const odf::ChainState& state) const {
  return options_.polling ? SelectPollingSource(state) : SelectPushSource(state, options_.source_name);
}

Status Ingestion::FindTakenInputs() {
  if (options_.polling) {
    taken_.assign(inputs_.size(), false);
    if (dataset_.state().polling_source == options_.polling->at) return {};
    return Error(ErrorCode::kPrecondition,
                 "the polling source was changed or polled by somebody else in the meantime; pull again");
  }
  ASSIGN_OR_RETURN(taken_, FindTaken(dataset_.state(), source_.name, inputs_));
  return {};
}

Result<std::vector<IngestOutcome>> Ingestion::Duplicates() {
  if (!options_.dry_run) RETURN_IF_ERROR(dataset_.EnsureDurable());  // "taken already" is an acknowledgement
  return std::vector<IngestOutcome>(inputs_.size(), Unchanged(IngestStatus::kDuplicate));
}

Status Ingestion::ReadIntoSpool(PreparedBatch& batch, int64_t memory_bytes) const {
  batch.spool = std::make_unique<Spool>(batch.frame->schema(), context_.temp_folder, memory_bytes);
  while (true) {
    ASSIGN_OR_RETURN(auto rows, batch.frame->Next());
    if (!rows) break;
    RETURN_IF_ERROR(batch.spool->Add(std::move(rows)));
  }
  batch.frame->CloseInput();
  return {};
}

Result<odf::DataSchema> Ingestion::PlannedSchema(const PreparedBatch& batch) const {
  ASSIGN_OR_RETURN(auto history, MakeEmptyHistory(prepared_for_));
  ASSIGN_OR_RETURN(auto merger, MakeMerger(batch.schema(), history.get()));
  SliceSpec spec;
  spec.vocabulary = prepared_for_.vocabulary;
  spec.merged = merger->output_schema();
  ASSIGN_OR_RETURN(auto builder, SliceBuilder::Make(dataset_.files(), std::move(spec)));
  return odf::FromArrow(*builder->schema());
}

Result<std::unique_ptr<merge::Merger>> Ingestion::MakeMerger(const std::shared_ptr<arrow::Schema>& input,
                                                             merge::KeyHistory* history) const {
  merge::MergeSpec spec;
  spec.strategy = source_.merge;
  spec.vocabulary = prepared_for_.vocabulary;
  spec.input = input;
  spec.refuse_duplicates = options_.refuse_duplicates;
  spec.key_memory = {key_files_.get(), static_cast<size_t>(options_.spool_memory_bytes)};
  return merge::Merger::Make(spec, history);
}

Result<PreparedBatch> Ingestion::PrepareInput(size_t i, int64_t memory_bytes,
                                              std::optional<odf::DataSchema>* schema) {
  PreparedBatch batch;
  ASSIGN_OR_RETURN(auto source, inputs_[i].open());
  auto& plan = plans_[inputs_[i].format];
  if (!plan) {
    ASSIGN_OR_RETURN(plan, FramePlan::Make(source_, prepared_for_, inputs_[i].format));
  }
  FrameOptions options = options_.frame;
  options.objects = &dataset_.files();
  ASSIGN_OR_RETURN(batch.frame, Frame::Open(plan, std::move(source), &rejects_, options));
  if (batch.schema() && inputs_.size() > 1 && !prepared_for_.schema) {
    if (!*schema) {
      auto planned = PlannedSchema(batch);
      if (!planned.ok()) return std::move(planned).error().With(batch.frame->input_name());
      *schema = std::move(*planned);
    }
    RETURN_IF_ERROR(batch.frame->AlignTo(**schema));
  }
  // With history, or several batches, everything is read before the locks are taken.
  if (batch.schema() && (!MergesEarly() || inputs_.size() > 1))
    RETURN_IF_ERROR(ReadIntoSpool(batch, memory_bytes));
  return batch;
}

void Ingestion::LeaveFrom(size_t i) {
  inputs_.erase(inputs_.begin() + static_cast<std::ptrdiff_t>(i), inputs_.end());
  taken_.resize(i);
  prepared_taken_.resize(i);
}

Status Ingestion::Prepare() {
  batches_.clear();
  plans_.clear();
  prepared_taken_ = taken_;
  std::optional<odf::DataSchema> schema = prepared_for_.schema;
  const int64_t most_bytes = options_.spool_memory_bytes;
  int64_t rows = 0, held_bytes = 0;
  std::vector<RejectLog::Mark> marks;  // before each input
  for (size_t i = 0; i < inputs_.size(); ++i) {
    marks.push_back(rejects_.mark());
    if (taken_[i]) {
      batches_.emplace_back();
      continue;
    }
    const int64_t share =
        options_.polling ? most_bytes - held_bytes : most_bytes / static_cast<int64_t>(inputs_.size());
    auto batch = PrepareInput(i, std::max<int64_t>(1 << 20, share), &schema);
    if (!batch.ok()) {
      // What stands before a bad input, and before those whose state covers it, is taken; then it is its
      // turn.
      size_t end = i;
      while (end > 0 && !CanEndAfter(end - 1)) --end;
      if (end == 0 || batch.error().code() == ErrorCode::kCancelled) return std::move(batch).error();
      rejects_.BackTo(marks[end]);
      LeaveFrom(end);
      batches_.resize(end);
      return {};
    }
    if (batch->spool) {
      rows += batch->spool->rows();
      held_bytes += batch->spool->held_bytes();
    }
    batches_.push_back(std::move(*batch));
    const int64_t most_rows = options_.polling ? options_.polling->max_rows : 0;
    const bool enough = (most_rows > 0 && rows >= most_rows) || held_bytes >= most_bytes;
    if (enough && CanEndAfter(i)) LeaveFrom(i + 1);
  }
  return {};
}

bool Ingestion::PreparedFor(const odf::ChainState& state) const {
  if (state.head == prepared_for_.head) return true;
  if (state.vocabulary != prepared_for_.vocabulary || state.schema != prepared_for_.schema) return false;
  auto source = SelectSource(state);
  return source.ok() && *source == source_;
}

bool Ingestion::OnlyGainedSchema(const odf::ChainState& state) const {
  if (inputs_.size() != 1 || prepared_for_.schema || !state.schema) return false;
  if (state.vocabulary != prepared_for_.vocabulary) return false;
  auto source = SelectPushSource(state, options_.source_name);
  return source.ok() && *source == source_;
}

Status Ingestion::RealignSpool() {
  auto& batch = batches_.front();
  if (!batch.spool) return {};
  ASSIGN_OR_RETURN(const auto shaper, MakeRealigner(dataset_.state(), batch.schema()));
  auto aligned = std::make_unique<Spool>(shaper.schema(), context_.temp_folder, options_.spool_memory_bytes);
  RETURN_IF_ERROR(batch.spool->Replay([&](const std::shared_ptr<arrow::RecordBatch>& rows) -> Status {
    ASSIGN_OR_RETURN(auto shaped, Realign(shaper, *rows));
    return aligned->Add(std::move(shaped));
  }));
  batch.spool = std::move(aligned);
  batch.realigned = shaper.schema();
  return {};
}

Result<std::unique_ptr<SliceBuilder>> Ingestion::MakeBuilder(const merge::Merger& merger,
                                                             const std::string& input, Instant system_time,
                                                             uint64_t start_offset,
                                                             const std::optional<odf::DataSchema>& schema) {
  SliceSpec spec;
  spec.vocabulary = prepared_for_.vocabulary;
  spec.merged = merger.output_schema();
  spec.dataset_schema = schema;
  spec.start_offset = start_offset;
  spec.system_time = system_time;
  spec.order = merger.order();
  spec.spill_folder = context_.temp_folder;
  auto made = SliceBuilder::Make(dataset_.files(), std::move(spec));
  if (!made.ok()) return std::move(made).error().With(input);
  return made;
}

Status Ingestion::MergeInto(SliceBuilder& builder, LinkedObjects& links, merge::Merger* merger,
                            PreparedBatch& batch, Instant fallback) {
  merger->BeginBatch(fallback);
  auto take = [&](const std::shared_ptr<arrow::RecordBatch>& rows) -> Status {
    if (!rows || rows->num_rows() == 0) return {};
    RETURN_IF_ERROR(links.Count(*rows));
    return builder.Add(rows, fallback);
  };
  RETURN_IF_ERROR(batch.ForEach([&](const std::shared_ptr<arrow::RecordBatch>& rows) -> Status {
    RETURN_IF_ERROR(CheckCancelled(options_.frame.read.stop));
    auto out = merger->Push(rows);
    if (!out.ok()) return std::move(out).error().With(batch.frame->input_name());
    return take(*out);
  }));
  auto rest = merger->EndBatch();
  if (!rest.ok()) return std::move(rest).error().With(batch.frame->input_name());
  for (const auto& rows : *rest) RETURN_IF_ERROR(take(rows));
  return {};
}

Result<MergedBatch> Ingestion::MergeOne(merge::Merger* merger, PreparedBatch& batch, const IngestInput& input,
                                        Instant system_time, uint64_t start_offset,
                                        const std::optional<odf::DataSchema>& schema) {
  MergedBatch merged;
  if (!batch.schema()) return merged;
  ASSIGN_OR_RETURN(auto builder,
                   MakeBuilder(*merger, batch.frame->input_name(), system_time, start_offset, schema));
  merged.schema = builder->schema();
  ASSIGN_OR_RETURN(auto links, LinkedObjects::Make(schema, dataset_.files()));
  RETURN_IF_ERROR(MergeInto(*builder, links, merger, batch, input.event_time.value_or(system_time)));
  merged.counts = merger->counts();
  ASSIGN_OR_RETURN(merged.slice, builder->Finish());
  merged.extra = links.Extra();
  return merged;
}

Status Ingestion::MergeAll(index::GuardedIndex* session, std::vector<MergedBatch>* merged) {
  merged->clear();
  prepared_for_ = dataset_.state();
  system_time_ = dataset_.NextSystemTime(*context_.clock);
  std::unique_ptr<merge::KeyHistory> history;
  if (NeedsHistory() && !session) {
    ASSIGN_OR_RETURN(history, MakeEmptyHistory(prepared_for_));
  } else if (NeedsHistory()) {
    ASSIGN_OR_RETURN(auto* index, session->Index());
    const auto set = KeySetFor(prepared_for_, source_.merge);
    if (!set) return Internal("no key set for source '{}'", source_.name);
    if (options_.frame.progress) options_.frame.progress->OnStage("merging");
    // An index that is ahead of what a power cut leaves would drop rows as already seen.
    RETURN_IF_ERROR(dataset_.EnsureDurable());
    RETURN_IF_ERROR(SyncIndex(*index, *set, dataset_, options_.frame.progress, options_.frame.read.stop));
    ASSIGN_OR_RETURN(history, MakeHistory(*index, *set, prepared_for_));
  }
  std::unique_ptr<merge::Merger> merger;
  std::shared_ptr<arrow::Schema> merger_input;
  std::optional<odf::DataSchema> schema = prepared_for_.schema;
  uint64_t next_offset = prepared_for_.last_offset() ? *prepared_for_.last_offset() + 1 : 0;
  std::unique_ptr<SliceBuilder> shared;  // of all batches, when they fold
  std::optional<LinkedObjects> shared_links;
  for (size_t i = 0; i < batches_.size(); ++i) {
    auto& batch = batches_[i];
    if (!taken_[i] && batch.schema() && merger && !merger_input->Equals(*batch.schema())) {
      return MakeError(ErrorCode::kConflict,
                       "IncompatibleSchema: inputs of one group have different columns: {} and {}",
                       merger_input->ToString(), batch.schema()->ToString())
          .With(batch.frame->input_name());
    }
    if (taken_[i]) {
      merged->emplace_back();
      continue;
    }
    if (batch.schema() && !merger) {
      merger_input = batch.schema();
      auto made = MakeMerger(merger_input, history.get());
      if (!made.ok()) return std::move(made).error().With(batch.frame->input_name());
      merger = std::move(*made);
    }
    if (Folds()) {
      merged->emplace_back();
      if (!batch.schema()) continue;
      if (!shared) {
        ASSIGN_OR_RETURN(shared,
                         MakeBuilder(*merger, batch.frame->input_name(), system_time_, next_offset, schema));
        ASSIGN_OR_RETURN(auto links, LinkedObjects::Make(schema, dataset_.files()));
        shared_links.emplace(std::move(links));
      }
      RETURN_IF_ERROR(MergeInto(*shared, *shared_links, merger.get(), batch,
                                inputs_[i].event_time.value_or(system_time_)));
      RETURN_IF_ERROR(shared->EndBatch());
      continue;
    }
    ASSIGN_OR_RETURN(auto one, MergeOne(merger.get(), batch, inputs_[i], system_time_, next_offset, schema));
    if (one.slice) next_offset = one.slice->slice.offset_interval.end + 1;
    if (one.schema && !schema) {
      ASSIGN_OR_RETURN(schema, odf::FromArrow(*one.schema));
    }
    merged->push_back(std::move(one));
  }
  if (shared) {
    auto& last = merged->back();
    last.schema = shared->schema();
    ASSIGN_OR_RETURN(last.slice, shared->Finish());
    last.extra = shared_links->Extra();
  }
  return {};
}

// The head moved while an Append streamed: its rows stay, offsets and system time are given anew.
Status Ingestion::RestampFirst(std::vector<MergedBatch>* merged) {
  prepared_for_ = dataset_.state();
  system_time_ = dataset_.NextSystemTime(*context_.clock);
  auto& one = merged->front();
  if (!one.slice) return {};
  ASSIGN_OR_RETURN(one.slice, Restamp(dataset_.files(), *one.slice, prepared_for_, system_time_));
  if (one.slice) one.schema = one.slice->schema;
  return {};
}

// The table of odf-ingest.md 4.6.
Status Ingestion::AddEvents(const IngestInput& input, MergedBatch& merged, odf::ChainState* chain,
                            std::vector<odf::MetadataEvent>* events) const {
  auto add = [&](odf::MetadataEvent event) -> Status {
    odf::MetadataBlock block{system_time_, chain->head, chain->sequence + 1, std::move(event)};
    ASSIGN_OR_RETURN(const auto bytes, odf::EncodeBlock(block));
    RETURN_IF_ERROR(chain->Apply(block, odf::HashBlock(bytes)));
    events->push_back(std::move(block.event));
    return {};
  };
  if (merged.schema && !chain->schema) {
    ASSIGN_OR_RETURN(auto schema, odf::FromArrow(*merged.schema));
    RETURN_IF_ERROR(add(odf::SetDataSchema{std::nullopt, std::move(schema)}));
  }
  const bool has_rows = merged.slice.has_value();
  ASSIGN_OR_RETURN(auto state, options_.polling
                                   ? NextPolledState(input, *chain, options_.polling->state_name, has_rows)
                                   : NextPushedState(input, source_.name, has_rows));
  if (!merged.slice && (!state || RepeatsLast(*chain, *state))) return {};
  return add(MakeAddData(*chain, merged.slice, merged.extra, std::move(state)));
}

IngestOutcome Ingestion::Unchanged(IngestStatus status) const {
  IngestOutcome outcome;
  outcome.status = status;
  outcome.old_head = outcome.new_head = outcome.block_hash = dataset_.head();
  outcome.sequence = dataset_.state().sequence;
  outcome.watermark = dataset_.state().watermark();
  return outcome;
}

Status Ingestion::TellBeforeCommit() const {
  if (!options_.polling || !options_.polling->before_commit) return {};
  return options_.polling->before_commit(inputs_.size());
}

Result<std::vector<IngestOutcome>> Ingestion::Commit(std::vector<MergedBatch> merged,
                                                     index::GuardedIndex& session) {
  if (options_.frame.progress) options_.frame.progress->OnStage("committing");
  odf::ChainState chain = dataset_.state();
  dataset::CommitRequest request;
  request.system_time = system_time_;
  std::vector<IngestOutcome> outcomes;
  for (size_t i = 0; i < merged.size(); ++i) {
    std::vector<odf::MetadataEvent> events;
    IngestOutcome outcome = Unchanged(IngestStatus::kUpToDate);
    outcome.old_head = *chain.head;
    if (Folds() && i + 1 < merged.size()) {
      if (inputs_[i].polled_state) RETURN_IF_ERROR(inputs_[i].polled_state());  // it must not have changed
    } else if (!taken_[i]) {
      RETURN_IF_ERROR(AddEvents(inputs_[i], merged[i], &chain, &events));
    }
    outcome.new_head = outcome.block_hash = *chain.head;
    outcome.sequence = chain.sequence;
    outcome.watermark = chain.watermark();
    if (taken_[i]) outcome.status = IngestStatus::kDuplicate;
    if (batches_[i].frame) {
      outcome.records_read = batches_[i].frame->rows_read();
      outcome.projection = batches_[i].frame->projection();
    }
    outcome.counts = merged[i].counts;
    if (!events.empty()) outcome.status = IngestStatus::kCommitted;
    if (merged[i].slice) {
      outcome.offsets = merged[i].slice->slice.offset_interval;
      outcome.records_added = static_cast<int64_t>(outcome.offsets->end - outcome.offsets->start + 1);
      request.slices.push_back({std::move(merged[i].slice->file), merged[i].slice->slice.physical_hash});
    }
    outcome.events = events;
    for (auto& event : events) request.events.push_back(std::move(event));
    outcomes.push_back(std::move(outcome));
  }
  if (options_.dry_run || request.events.empty()) {
    RETURN_IF_ERROR(rejects_.Sync());
    if (!options_.dry_run) {
      RETURN_IF_ERROR(TellBeforeCommit());
      RETURN_IF_ERROR(dataset_.EnsureDurable());  // "up to date" is an acknowledgement too
    }
    return outcomes;
  }
  RETURN_IF_ERROR(rejects_.Sync());
  RETURN_IF_ERROR(CheckCancelled(options_.frame.read.stop));
  RETURN_IF_ERROR(TellBeforeCommit());
  ASSIGN_OR_RETURN(auto result, dataset_.Commit(std::move(request)));
  (void)result;
  UpdateIndexes(session, dataset_, options_.frame.progress);
  return outcomes;
}

// What was merged before the locks, once more where the dataset changed since.
Status Ingestion::MergeAgain(index::GuardedIndex* session, bool moved, bool taken_changed,
                             std::vector<MergedBatch>* merged) {
  if (!moved && !taken_changed) return {};
  if (batches_.size() == 1) return RestampFirst(merged);
  return MergeAll(session, merged);
}

Result<std::vector<IngestOutcome>> Ingestion::RunOnce(bool* again) {
  prepared_for_ = dataset_.state();
  ASSIGN_OR_RETURN(source_, SelectSource(prepared_for_));
  RETURN_IF_ERROR(FindTakenInputs());
  if (AllTaken()) return Duplicates();
  RETURN_IF_ERROR(Prepare());
  std::vector<MergedBatch> merged;
  const bool early = MergesEarly();
  if (early) RETURN_IF_ERROR(MergeAll(nullptr, &merged));

  ASSIGN_OR_RETURN(auto session, context_.begin_commit());
  ASSIGN_OR_RETURN(bool moved, dataset_.Refresh());
  RETURN_IF_ERROR(FindTakenInputs());
  if (AllTaken()) {
    rejects_.BackTo(start_);
    return Duplicates();
  }
  const bool fits = PreparedFor(dataset_.state());
  if (moved && ((early && NeedsHistory()) || (!fits && !OnlyGainedSchema(dataset_.state())))) {
    *again = true;
    return std::vector<IngestOutcome>();
  }
  if (moved && !fits) RETURN_IF_ERROR(RealignSpool());
  for (size_t i = 0; i < taken_.size(); ++i) {
    if (prepared_taken_[i] && !taken_[i]) {  // the dataset was reset meanwhile: this input was not read
      *again = true;
      return std::vector<IngestOutcome>();
    }
  }
  if (early) {
    RETURN_IF_ERROR(MergeAgain(session.get(), moved, taken_ != prepared_taken_, &merged));
  } else {
    RETURN_IF_ERROR(MergeAll(session.get(), &merged));
  }
  return Commit(std::move(merged), *session);
}

Result<std::vector<IngestOutcome>> Ingestion::Run() {
  if (inputs_.empty()) return InvalidArgument("nothing to ingest: no input is given");
  const bool replayable =
      std::all_of(inputs_.begin(), inputs_.end(), [](const auto& i) { return i.replayable; });
  start_ = rejects_.mark();
  for (int attempt = 0; attempt < kTries; ++attempt) {
    bool again = false;
    auto outcomes = RunOnce(&again);
    if (outcomes.ok() && !again) return outcomes;
    // After an unknown outcome the bad records may belong to what is in the chain.
    const bool unknown = !outcomes.ok() && outcomes.error().code() == ErrorCode::kCommitUnknown;
    if (!unknown) rejects_.BackTo(start_);
    if (!outcomes.ok()) return outcomes;
    if (!replayable) break;
  }
  return MakeError(
      ErrorCode::kUnavailable,
      "the source or the schema of the dataset changed while its input was being read; try again");
}

}  // namespace

Result<std::vector<IngestOutcome>> Ingest(const IngestContext& context, std::vector<IngestInput> inputs,
                                          RejectLog& rejects, const IngestOptions& options) {
  return Ingestion(context, std::move(inputs), rejects, options).Run();
}

}  // namespace sluice::ingest

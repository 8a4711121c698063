#include "ingest/group.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <span>

#include "base/cancel.h"
#include "ingest/group_history.h"
#include "ingest/index_sync.h"
#include "ingest/linked_objects.h"
#include "ingest/slice_builder.h"
#include "ingest/source_state.h"
#include "odf/arrow_schema.h"

namespace sluice::ingest {
namespace {

using RowsPtr = std::shared_ptr<arrow::RecordBatch>;
using SchemaPtr = std::shared_ptr<arrow::Schema>;

// The batch's own fault: it leaves the group alone. Everything else concerns all of them.
bool IsOfTheBatch(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kInvalidRecords:
    case ErrorCode::kConflict:
    case ErrorCode::kUnsupported:
    case ErrorCode::kInternal:
      return true;
    default:
      return false;
  }
}

// One AddData to be.
struct GroupBlock {
  SchemaPtr schema;
  std::optional<BuiltSlice> slice;
  std::optional<odf::SourceState> state;
  std::optional<std::string> extra;
  odf::Multihash hash;  // once it is made
  uint64_t sequence = 0;
  std::optional<Instant> watermark;
  bool is_made = false;
};

struct Item {
  GroupBatch batch;
  bool excluded = false;  // it broke a slice that others share: the group is merged again without it
  std::optional<Error> error;
  bool duplicate = false;
  merge::MergeCounts counts;
  std::optional<odf::OffsetInterval> offsets;
  size_t block = 0;  // index of its block, when has_block
  bool has_block = false;
};

class Group {
 public:
  Group(const GroupContext& context, std::vector<GroupBatch> batches)
      : context_(context), dataset_(*context.dataset), chain_(dataset_.state()) {
    for (auto& batch : batches) items_.push_back({.batch = std::move(batch)});
  }

  Result<GroupResult> Run(const BeforeHead& before_head);

 private:
  Status MergeAll();
  Status MergeSource(const std::string& name, const std::vector<size_t>& members);
  // A duplicate, or why the batch does not hold any more.
  Status Judge(Item& item, const std::optional<odf::SourceState>& now) const;
  Status StartRun(const Item& item);
  Status StartBlock();
  Status MergeOne(Item& item);
  // How many batches from `members[0]` on are single records that were read together, and can be merged so.
  size_t SinglesIn(std::span<const size_t> members) const;
  Status MergeSingles(std::span<const size_t> members);
  // Has merger and block take batches like this one.
  Status Reach(const Item& item);
  Status AddRows(Item& item, const std::vector<RowsPtr>& rows);
  Status FinishBlock();
  Result<std::unique_ptr<merge::KeyHistory>> History(const odf::MergeStrategy& strategy);
  Status MakeEvents(dataset::CommitRequest* request);
  IngestOutcome OutcomeOf(const Item& item) const;

  const GroupContext& context_;
  dataset::Dataset& dataset_;
  const odf::ChainState& chain_;
  std::vector<Item> items_;

  Instant system_time_;
  uint64_t next_offset_ = 0;
  std::vector<GroupBlock> blocks_;
  bool merge_again_ = false;
  bool one_by_one_ = false;  // what was merged together failed: which batch was it?

  // The run: batches of one source and one input schema through one merger.
  SchemaPtr run_schema_;
  std::unique_ptr<merge::KeyHistory> history_;
  std::unique_ptr<merge::Merger> merger_;
  std::unique_ptr<SliceBuilder> builder_;
  std::optional<LinkedObjects> links_;
  bool block_open_ = false;

  odf::Multihash old_head_, new_head_;
};

Status Group::Judge(Item& item, const std::optional<odf::SourceState>& now) const {
  const auto& name = item.batch.ready.plan->source().name;
  const auto source = chain_.push_sources.find(name);
  if (source == chain_.push_sources.end() || source->second.activated_at != item.batch.activation)
    return NotFound("push source '{}' was disabled after the batch was taken", name);
  if (!item.batch.state) return {};
  const auto& state = *item.batch.state;
  if (now && now->kind == state.kind && now->value == state.next) {
    item.duplicate = true;
    return {};
  }
  if (state.expected != now) {
    return NotAtState(name, now, state.expected);
  }
  return {};
}

Result<std::unique_ptr<merge::KeyHistory>> Group::History(const odf::MergeStrategy& strategy) {
  const auto set = KeySetFor(chain_, strategy);
  if (!set) return std::unique_ptr<merge::KeyHistory>();
  ASSIGN_OR_RETURN(auto* index, context_.session->Index());
  RETURN_IF_ERROR(SyncIndex(*index, *set, dataset_, nullptr, context_.stop));
  ASSIGN_OR_RETURN(auto history, MakeHistory(*index, *set, chain_));
  const bool wrote =
      std::any_of(blocks_.begin(), blocks_.end(), [](const auto& b) { return b.slice.has_value(); });
  if (!wrote) return history;
  auto overlaid = std::make_unique<GroupHistory>(std::move(history), *set);
  for (auto& block : blocks_) {
    if (block.slice) RETURN_IF_ERROR(overlaid->Add(*block.slice->file, chain_));
  }
  return std::unique_ptr<merge::KeyHistory>(std::move(overlaid));
}

Status Group::StartRun(const Item& item) {
  const auto& ready = item.batch.ready;
  merger_.reset();  // before the history that it asks
  ASSIGN_OR_RETURN(history_, History(ready.plan->source().merge));
  merge::MergeSpec spec;
  spec.strategy = ready.plan->source().merge;
  spec.vocabulary = chain_.vocabulary;
  spec.input = ready.schema;
  ASSIGN_OR_RETURN(merger_, merge::Merger::Make(spec, history_.get()));
  run_schema_ = ready.schema;
  return {};
}

Status Group::StartBlock() {
  SliceSpec spec;
  spec.vocabulary = chain_.vocabulary;
  spec.merged = merger_->output_schema();
  spec.dataset_schema = chain_.schema;
  spec.start_offset = next_offset_;
  spec.system_time = system_time_;
  spec.order = merger_->order();
  spec.spill_folder = context_.temp_folder;
  ASSIGN_OR_RETURN(builder_, SliceBuilder::Make(dataset_.files(), std::move(spec)));
  ASSIGN_OR_RETURN(auto links, LinkedObjects::Make(chain_.schema, dataset_.files()));
  links_.emplace(std::move(links));
  blocks_.emplace_back();
  blocks_.back().schema = builder_->schema();
  block_open_ = true;
  return {};
}

Status Group::FinishBlock() {
  if (!block_open_) return {};
  block_open_ = false;
  ASSIGN_OR_RETURN(blocks_.back().slice, builder_->Finish());
  blocks_.back().extra = links_->Extra();
  builder_.reset();
  links_.reset();
  return {};
}

// Rows of one batch, which did merge, into the block's slice.
Status Group::AddRows(Item& item, const std::vector<RowsPtr>& rows) {
  for (const auto& part : rows) {
    RETURN_IF_ERROR(links_->Count(*part));
    RETURN_IF_ERROR(builder_->Add(part, item.batch.fallback_event_time));
  }
  ASSIGN_OR_RETURN(const int64_t added, builder_->EndBatch());
  if (added > 0)
    item.offsets = odf::OffsetInterval{next_offset_, next_offset_ + static_cast<uint64_t>(added) - 1};
  next_offset_ += static_cast<uint64_t>(added);
  return {};
}

Status Group::Reach(const Item& item) {
  if (!merger_ || !run_schema_->Equals(*item.batch.ready.schema)) {
    RETURN_IF_ERROR(FinishBlock());
    RETURN_IF_ERROR(StartRun(item));
  }
  return block_open_ ? OkStatus() : StartBlock();
}

size_t Group::SinglesIn(std::span<const size_t> members) const {
  const auto& first = items_[members[0]].batch;
  if (one_by_one_ || !first.ready.row || !merge::TakesSingles(first.ready.plan->source().merge.kind))
    return 0;
  const auto belongs = [&](const GroupBatch& batch, size_t place) {
    return batch.ready.row && batch.ready.rows[0] == first.ready.rows[0] &&
           *batch.ready.row == *first.ready.row + static_cast<int64_t>(place) && !batch.state &&
           batch.activation == first.activation && batch.fallback_event_time == first.fallback_event_time;
  };
  size_t count = 0;
  while (count < members.size() && belongs(items_[members[count]].batch, count)) ++count;
  return count;
}

Status Group::MergeSingles(std::span<const size_t> members) {
  const auto& first = items_[members[0]];
  const auto& ready = first.batch.ready;
  RETURN_IF_ERROR(Reach(first));
  std::vector<bool> added;
  const auto merge = [&]() -> Status {
    merger_->BeginBatch(first.batch.fallback_event_time);
    ASSIGN_OR_RETURN(
        const auto rows,
        merger_->PushSingles(ready.rows[0]->Slice(*ready.row, static_cast<int64_t>(members.size())), &added));
    if (rows) {
      RETURN_IF_ERROR(links_->Count(*rows));
      RETURN_IF_ERROR(builder_->AddSingles(rows, first.batch.fallback_event_time));
    }
    ASSIGN_OR_RETURN(const auto rest, merger_->EndBatch());
    return rest.empty() ? OkStatus() : Internal("rows were kept of batches that go out as they come");
  };
  RETURN_IF_ERROR(merge());
  for (size_t i = 0; i < members.size(); ++i) {
    Item& item = items_[members[i]];
    item.has_block = true;
    item.block = blocks_.size() - 1;
    item.counts.received = 1;
    item.counts.appended = added[i] ? 1 : 0;
    item.counts.unchanged = added[i] ? 0 : 1;
    if (!added[i]) continue;
    item.offsets = odf::OffsetInterval{next_offset_, next_offset_};
    ++next_offset_;
  }
  return {};
}

Status Group::MergeOne(Item& item) {
  const auto& ready = item.batch.ready;
  const bool own_block = ready.plan->source().merge.kind == odf::MergeKind::kSnapshot;
  if (ready.schema) {
    if (own_block) RETURN_IF_ERROR(FinishBlock());
    RETURN_IF_ERROR(Reach(item));
    std::vector<RowsPtr> merged;
    auto merge = [&]() -> Status {
      merger_->BeginBatch(item.batch.fallback_event_time);
      for (const auto& rows : ready.rows) {
        ASSIGN_OR_RETURN(auto part, merger_->Push(ready.row ? rows->Slice(*ready.row, 1) : rows));
        if (part && part->num_rows() > 0) merged.push_back(std::move(part));
      }
      ASSIGN_OR_RETURN(auto rest, merger_->EndBatch());
      for (auto& part : rest) {
        if (part && part->num_rows() > 0) merged.push_back(std::move(part));
      }
      return {};
    };
    if (auto status = merge(); !status.ok()) {
      merger_->AbandonBatch();
      return status;
    }
    item.counts = merger_->counts();
    if (auto status = AddRows(item, merged); !status.ok()) {
      // The slice, and what the merger remembers, hold part of it.
      if (IsOfTheBatch(status.error().code())) merge_again_ = item.excluded = true;
      return status;
    }
  }
  if (!item.batch.state && !ready.schema) return {};
  if (!block_open_) {  // only a state, and no block of this source to carry it
    blocks_.emplace_back();
    block_open_ = false;
  }
  item.has_block = true;
  item.block = blocks_.size() - 1;
  if (item.batch.state)
    blocks_.back().state =
        odf::SourceState{ready.plan->source().name, item.batch.state->kind, item.batch.state->next};
  return {};
}

Status Group::MergeSource(const std::string& name, const std::vector<size_t>& members) {
  merger_.reset();
  run_schema_.reset();
  std::optional<odf::SourceState> now;
  if (auto it = chain_.push_sources.find(name); it != chain_.push_sources.end()) now = it->second.state;
  bool held_up = false;
  const auto leaves = [&](Item& item, Error error) {
    held_up = held_up || (item.batch.holds_up && error.code() != ErrorCode::kNotFound);
    item.error = std::move(error);
  };
  for (size_t at = 0; at < members.size(); ++at) {
    auto& item = items_[members[at]];
    const size_t singles = held_up ? 0 : SinglesIn(std::span(members).subspan(at));
    if (singles > 1 && Judge(item, now).ok()) {
      RETURN_IF_ERROR(CheckCancelled(context_.stop));
      if (auto status = MergeSingles(std::span(members).subspan(at, singles)); !status.ok()) {
        if (!IsOfTheBatch(status.error().code())) return status;
        merge_again_ = one_by_one_ = true;
        return {};
      }
      at += singles - 1;
      continue;
    }
    if (item.excluded) {
      leaves(item, *item.error);
      continue;
    }
    if (held_up) {
      item.error =
          MakeError(ErrorCode::kUnavailable, "a batch of source '{}' that came before has failed", name);
      continue;
    }
    RETURN_IF_ERROR(CheckCancelled(context_.stop));
    if (auto status = Judge(item, now); !status.ok()) {
      leaves(item, std::move(status).error());
      continue;
    }
    if (item.duplicate) continue;
    if (auto status = MergeOne(item); !status.ok()) {
      if (!IsOfTheBatch(status.error().code())) return status;
      leaves(item, std::move(status).error());
      if (merge_again_) return {};
      continue;
    }
    if (item.batch.state) now = odf::SourceState{name, item.batch.state->kind, item.batch.state->next};
  }
  return FinishBlock();
}

Status Group::MergeAll() {
  do {
    merge_again_ = false;
    blocks_.clear();
    block_open_ = false;
    builder_.reset();
    next_offset_ = chain_.last_offset() ? *chain_.last_offset() + 1 : 0;
    std::vector<std::string> order;
    std::map<std::string, std::vector<size_t>> members;
    for (size_t i = 0; i < items_.size(); ++i) {
      auto& item = items_[i];
      if (!item.excluded) item.error.reset();
      item.duplicate = item.has_block = false;
      item.counts = {};
      item.offsets.reset();
      auto& list = members[item.batch.ready.plan->source().name];
      if (list.empty()) order.push_back(item.batch.ready.plan->source().name);
      list.push_back(i);
    }
    for (const auto& name : order) {
      RETURN_IF_ERROR(MergeSource(name, members[name]));
      if (merge_again_) break;
    }
  } while (merge_again_);
  return {};
}

// The table of odf-ingest.md 4.6, block by block.
Status Group::MakeEvents(dataset::CommitRequest* request) {
  odf::ChainState chain = chain_;
  request->system_time = system_time_;
  auto add = [&](odf::MetadataEvent event) -> Status {
    odf::MetadataBlock block{system_time_, chain.head, chain.sequence + 1, std::move(event)};
    ASSIGN_OR_RETURN(const auto bytes, odf::EncodeBlock(block));
    RETURN_IF_ERROR(chain.Apply(block, odf::HashBlock(bytes)));
    request->events.push_back(std::move(block.event));
    return {};
  };
  for (auto& block : blocks_) {
    if (block.schema && !chain.schema) {
      ASSIGN_OR_RETURN(auto schema, odf::FromArrow(*block.schema));
      RETURN_IF_ERROR(add(odf::SetDataSchema{std::nullopt, std::move(schema)}));
    }
    if (block.slice || (block.state && !RepeatsLast(chain, *block.state))) {
      RETURN_IF_ERROR(add(MakeAddData(chain, block.slice, block.extra, block.state)));
      block.is_made = true;
    }
    block.hash = *chain.head;
    block.sequence = chain.sequence;
    block.watermark = chain.watermark();
  }
  new_head_ = *chain.head;
  for (auto& block : blocks_) {
    if (block.slice)
      request->slices.push_back({std::move(block.slice->file), block.slice->slice.physical_hash});
  }
  return {};
}

IngestOutcome Group::OutcomeOf(const Item& item) const {
  IngestOutcome outcome;
  outcome.status = item.duplicate ? IngestStatus::kDuplicate : IngestStatus::kUpToDate;
  outcome.old_head = old_head_;
  outcome.new_head = new_head_;
  outcome.block_hash = *chain_.head;
  outcome.sequence = chain_.sequence;
  outcome.watermark = chain_.watermark();
  outcome.records_read = item.batch.ready.records;
  outcome.counts = item.counts;
  outcome.offsets = item.offsets;
  if (item.offsets) outcome.records_added = static_cast<int64_t>(item.offsets->end - item.offsets->start + 1);
  if (!item.has_block) return outcome;
  const auto& block = blocks_[item.block];
  outcome.block_hash = block.hash;
  outcome.sequence = block.sequence;
  outcome.watermark = block.watermark;
  const bool brought = item.offsets || item.batch.state;
  const bool first_schema = !chain_.schema && block.schema;
  if (brought || first_schema) outcome.status = IngestStatus::kCommitted;
  return outcome;
}

Result<GroupResult> Group::Run(const BeforeHead& before_head) {
  system_time_ = dataset_.NextSystemTime(*context_.clock);
  old_head_ = new_head_ = dataset_.head();
  RETURN_IF_ERROR(MergeAll());
  dataset::CommitRequest request;
  RETURN_IF_ERROR(MakeEvents(&request));
  GroupResult result;
  for (const auto& item : items_) {
    if (item.error) {
      result.outcomes.emplace_back(*item.error);
    } else {
      result.outcomes.emplace_back(OutcomeOf(item));
    }
  }
  if (request.events.empty()) return result;
  RETURN_IF_ERROR(CheckCancelled(context_.stop));
  request.before_head = [&](const dataset::CommitResult& commit) -> Status {
    result.commit = commit;
    return before_head ? before_head(result) : OkStatus();
  };
  ASSIGN_OR_RETURN(result.commit, dataset_.Commit(std::move(request)));
  if (result.commit->new_head != new_head_)
    return Internal("the head after the commit is {}, not {}", result.commit->new_head.ToString(),
                    new_head_.ToString());
  return result;
}

}  // namespace

Result<ReadyBatch> MakeReady(std::shared_ptr<FramePlan> plan, std::unique_ptr<read::ByteSource> input,
                             RejectLog& rejects, const FrameOptions& options) {
  ReadyBatch ready;
  ASSIGN_OR_RETURN(auto frame, Frame::Open(plan, std::move(input), &rejects, options));
  ready.schema = frame->schema();
  while (ready.schema) {
    ASSIGN_OR_RETURN(auto rows, frame->Next());
    if (!rows) break;
    ready.rows.push_back(std::move(rows));
  }
  ready.records = frame->rows_read();
  ready.plan = std::move(plan);
  return ready;
}

bool LooksLikeOneRecord(std::string_view body) {
  if (body.ends_with('\n')) body.remove_suffix(1);
  if (body.ends_with('\r')) body.remove_suffix(1);
  return body.starts_with('{') && body.ends_with('}') && body.find('\n') == std::string_view::npos;
}

Result<std::optional<std::vector<ReadyBatch>>> MakeReadyTogether(const std::shared_ptr<FramePlan>& plan,
                                                                 const std::vector<std::string_view>& bodies,
                                                                 const FrameOptions& options) {
  // What begins and ends as an object cannot go on in the next line: there is no comma between.
  auto text = std::make_shared<std::string>();
  for (const auto& body : bodies) text->append(body).append(body.ends_with('\n') ? "" : "\n");
  ASSIGN_OR_RETURN(auto rejects, RejectLog::Open(OnError::kFail, ""));
  auto all = MakeReady(plan, read::MakeSharedSource(std::move(text), "request bodies"), *rejects, options);
  if (rejects->count() > 0) return std::optional<std::vector<ReadyBatch>>();
  if (!all.ok() && all.error().code() == ErrorCode::kInvalidRecords)  // the query's
    return std::optional<std::vector<ReadyBatch>>();
  RETURN_IF_ERROR(all);
  if (all->rows.size() != 1 || all->rows[0]->num_rows() != static_cast<int64_t>(bodies.size()))
    return std::optional<std::vector<ReadyBatch>>();
  std::vector<ReadyBatch> ready(bodies.size(), *all);
  for (size_t i = 0; i < ready.size(); ++i) {
    ready[i].records = 1;
    ready[i].row = static_cast<int64_t>(i);
  }
  return std::optional(std::move(ready));
}

Result<ReadyBatch> MakeReady(const std::shared_ptr<const odf::ChainState>& chain,
                             const SourceDefinition& source, std::unique_ptr<read::ByteSource> input,
                             std::optional<read::InputFormat> format, RejectLog& rejects,
                             const FrameOptions& options) {
  ASSIGN_OR_RETURN(auto plan, FramePlan::Make(source, *chain, format));
  return MakeReady(std::move(plan), std::move(input), rejects, options);
}

Result<GroupResult> CommitGroup(const GroupContext& context, std::vector<GroupBatch> batches,
                                const BeforeHead& before_head) {
  return Group(context, std::move(batches)).Run(before_head);
}

}  // namespace sluice::ingest

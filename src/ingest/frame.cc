#include "ingest/frame.h"

#include <arrow/builder.h>
#include <arrow/compute/api.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <utility>

#include "base/cancel.h"
#include "base/names.h"
#include "columnar/arrow_status.h"
#include "columnar/format.h"
#include "columnar/plain_types.h"
#include "ingest/frame_plan.h"
#include "ingest/inner_values.h"
#include "merge/ops.h"

namespace sluice::ingest {
namespace {

// A row as one line of JSON, for the rejects file.
Result<std::string> TextOf(const arrow::RecordBatch& row) {
  std::string text;
  ASSIGN_OR_RETURN(auto writer, columnar::RowWriter::Make(columnar::OutputFormat::kNdJson, row.schema(),
                                                          [&text](std::string_view part) -> Status {
                                                            text += part;
                                                            return {};
                                                          }));
  RETURN_IF_ERROR(writer->Write(row));
  RETURN_IF_ERROR(writer->Finish());
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

sql::TransformSpec ToSpec(const odf::TransformSql& transform) {
  sql::TransformSpec spec;
  spec.engine = transform.engine;
  if (transform.query) spec.steps.push_back({"", *transform.query});  // chains written before normalization
  if (transform.queries) {
    for (const auto& step : *transform.queries) spec.steps.push_back({step.alias.value_or(""), step.query});
  }
  return spec;
}

Result<SourceDefinition> SelectPushSource(const odf::ChainState& state,
                                          const std::optional<std::string>& name) {
  if (state.kind != odf::DatasetKind::kRoot) {
    return InvalidArgument("cannot ingest into a derivative dataset: its data comes from its transformation");
  }
  std::vector<std::string> names;
  for (const auto& [source_name, source] : state.push_sources) names.push_back(source_name);
  if (name) {
    if (auto it = state.push_sources.find(*name); it != state.push_sources.end())
      return DefinitionOf(it->second.event);
    if (state.polling_source) {
      return NotFound(
          "expected a push source named '{}', but the dataset is fed by a polling source; disable that first",
          *name);
    }
    auto near = NearNames(*name, names);
    return NotFound("dataset has no push source named '{}'{}", *name,
                    names.empty() ? "; add one with 'sluice source add'"
                                  : "; its push sources are: " + JoinNames(names) +
                                        (near.empty() ? "" : " (did you mean '" + near.front() + "'?)"));
  }
  if (names.size() == 1) return DefinitionOf(state.push_sources.begin()->second.event);
  if (names.size() > 1) {
    return MakeError(
        ErrorCode::kConflict,
        "dataset has several push sources; choose one with --source-name, or ?sourceName= over HTTP: {}",
        JoinNames(names));
  }
  if (state.polling_source) {
    return NotFound(
        "dataset has no push source: it is fed by a polling source; disable that and add a push source to ingest");
  }
  return NotFound("dataset has no push source; add one with 'sluice source add'");
}

Result<SourceDefinition> SelectPollingSource(const odf::ChainState& state) {
  if (!state.polling_source)
    return NotFound("dataset has no polling source; add one with 'sluice source add'");
  const auto& event = state.polling_source->event;
  return SourceDefinition{std::string(odf::kPollingSourceName), event.read, event.preprocess, event.merge};
}

Result<std::unique_ptr<Frame>> Frame::Open(const SourceDefinition& source, const odf::ChainState& state,
                                           std::unique_ptr<read::ByteSource> input,
                                           std::optional<read::InputFormat> format, RejectLog* rejects,
                                           const FrameOptions& options) {
  ASSIGN_OR_RETURN(auto plan, FramePlan::Make(source, state, format));
  return Open(std::move(plan), std::move(input), rejects, options);
}

Result<std::unique_ptr<Frame>> Frame::Open(std::shared_ptr<FramePlan> plan,
                                           std::unique_ptr<read::ByteSource> input, RejectLog* rejects,
                                           const FrameOptions& options) {
  std::unique_ptr<Frame> frame(new Frame());
  frame->plan_ = std::move(plan);
  frame->input_name_ = input->name();
  frame->rejects_ = rejects;
  frame->progress_ = options.progress;
  frame->stop_ = options.read.stop;
  if (frame->progress_) frame->progress_->OnInput(input->name(), input->size());
  ASSIGN_OR_RETURN(frame->reader_, read::OpenReader(frame->plan_->read(), std::move(input), options.read));
  frame->read_schema_ = frame->reader_->schema();
  frame->projection_ = frame->reader_->projection();
  if (!frame->read_schema_) {
    // Not one record could be read: no frame, but perhaps rejects.
    ASSIGN_OR_RETURN(auto none, frame->NextRead());
    if (none) return Internal("rows without a schema");
    return frame;
  }
  ASSIGN_OR_RETURN(frame->preprocess_, frame->plan_->TakePreprocess(frame->read_schema_, options.sql));
  frame->unshaped_ = frame->preprocess_ ? frame->preprocess_->schema() : frame->read_schema_;
  RETURN_IF_ERROR(frame->PeekAtStructs());
  auto shaper = frame->MakeShaper();
  if (!shaper.ok()) return std::move(shaper).error().With(frame->input_name_);
  frame->shaper_ = std::move(*shaper);
  frame->schema_ = frame->shaper_->schema();
  if (options.objects) {
    ASSIGN_OR_RETURN(auto links, LinkedObjects::Make(frame->plan_->shape().dataset_schema, *options.objects));
    frame->links_.emplace(std::move(links));
  }
  return frame;
}

Frame::~Frame() { CloseInput(); }

// The first rows decide what inferred structs are, as they do in a JSON input without a schema.
Status Frame::PeekAtStructs() {
  const ShapeSpec& spec = plan_->shape();
  const bool has_structs =
      std::any_of(unshaped_->fields().begin(), unshaped_->fields().end(),
                  [](const auto& field) { return field->type()->id() == arrow::Type::STRUCT; });
  if (!has_structs || !spec.is_inferred || spec.dataset_schema || spec.agreed_schema) return {};
  ASSIGN_OR_RETURN(peeked_, NextQueried());
  for (int i = 0; peeked_ && i < peeked_->num_columns(); ++i) {
    if (HasNullStruct(*peeked_->column(i))) null_structs_.insert(unshaped_->field(i)->name());
  }
  return {};
}

Result<Shaper> Frame::MakeShaper() {
  if (null_structs_.empty()) return plan_->ShaperOf(unshaped_);
  ShapeSpec spec = plan_->shape();
  spec.null_structs = null_structs_;
  return Shaper::Make(spec, unshaped_);
}

Status Frame::AlignTo(const odf::DataSchema& schema) {
  if (!shaper_) return {};
  ShapeSpec shape = plan_->shape();
  shape.dataset_schema = schema;
  auto shaper = Shaper::Make(shape, unshaped_);
  if (!shaper.ok()) return std::move(shaper).error().With(input_name_);
  shaper_ = std::move(*shaper);
  schema_ = shaper_->schema();
  return {};
}

void Frame::CloseInput() {
  pending_.clear();
  peeked_.reset();
  if (ended_well_ && preprocess_) plan_->GiveBack(read_schema_, std::move(preprocess_));
  preprocess_.reset();
  reader_.reset();
}

Result<std::shared_ptr<arrow::RecordBatch>> Frame::NextRead() {
  while (true) {
    RETURN_IF_ERROR(CheckCancelled(stop_));
    PassBatch();
    ASSIGN_OR_RETURN(auto batch, reader_->Next());
    if (!batch) {
      RETURN_IF_ERROR(CheckRefused());
      return std::shared_ptr<arrow::RecordBatch>();
    }
    if (!batch->rejects.empty()) RETURN_IF_ERROR(rejects_->Add(input_name_, batch->rejects));
    for (const auto& reject : batch->rejects) {
      if (left_out_.empty() || left_out_.back() != reject.record) left_out_.push_back(reject.record);
    }
    batch_rows_ = batch->rows ? batch->rows->num_rows() : 0;
    rows_read_ += static_cast<int64_t>(batch->rejects.size());
    if (batch->rows) rows_read_ += batch->rows->num_rows();
    if (progress_) progress_->OnRead(reader_->bytes_read(), rows_read_);
    // Once an input is known to be refused, the rest is only read to count its bad records.
    const bool refused = rejects_->count() > 0 && rejects_->policy() == OnError::kFail;
    if (!refused && batch->rows && batch->rows->num_rows() > 0) return batch->rows;
  }
}

Result<std::shared_ptr<arrow::RecordBatch>> Frame::NextQueried() {
  if (!preprocess_) return NextRead();
  while (pending_.empty()) {
    if (queried_all_) return std::shared_ptr<arrow::RecordBatch>();
    sql::RecordBatches input;
    if (preprocess_->is_row_wise()) {
      ASSIGN_OR_RETURN(auto batch, NextRead());
      if (batch) input.push_back(std::move(batch));
      queried_all_ = input.empty();
    } else {
      while (true) {
        ASSIGN_OR_RETURN(auto batch, NextRead());
        if (!batch) break;
        input.push_back(std::move(batch));
      }
      queried_all_ = true;
    }
    if (input.empty() && preprocess_->is_row_wise()) break;
    ASSIGN_OR_RETURN(pending_, preprocess_->Run(input, stop_));
    std::erase_if(pending_, [](const auto& batch) { return batch->num_rows() == 0; });
    std::reverse(pending_.begin(), pending_.end());
  }
  if (pending_.empty()) return std::shared_ptr<arrow::RecordBatch>();
  auto batch = std::move(pending_.back());
  pending_.pop_back();
  return batch;
}

Result<std::shared_ptr<arrow::RecordBatch>> Frame::Next() {
  while (true) {
    auto batch = std::exchange(peeked_, nullptr);
    if (!batch) {
      ASSIGN_OR_RETURN(batch, NextQueried());
    }
    if (!batch) {
      RETURN_IF_ERROR(CheckRefused());
      ended_well_ = true;
      return batch;
    }
    std::vector<BadValue> bad;
    auto shaped = shaper_->Apply(*batch, &bad);
    if (!shaped.ok()) return std::move(shaped).error().With(input_name_);
    FindNullKeys(**shaped, &bad);
    RETURN_IF_ERROR(FindBadOps(**shaped, &bad));
    if (links_) RETURN_IF_ERROR(links_->FindBad(**shaped, &bad));
    if (!bad.empty()) {
      ASSIGN_OR_RETURN(shaped, LeaveOut(bad, *batch, **shaped));
    }
    rows_out_ += batch->num_rows();
    if ((*shaped)->num_rows() > 0) return shaped;
  }
}

Status Frame::CheckRefused() const {
  if (rejects_->count() > 0 && rejects_->policy() == OnError::kFail) return rejects_->ToError(input_name_);
  return {};
}

void Frame::FindNullKeys(const arrow::RecordBatch& shaped, std::vector<BadValue>* bad) const {
  for (const auto& column : plan_->source().merge.primary_key) {
    const auto values = shaped.GetColumnByName(column);
    if (!values || values->null_count() == 0) continue;
    for (int64_t row = 0; row < values->length(); ++row) {
      if (values->IsNull(row)) bad->push_back({row, column, "", "null in the primary key"});
    }
  }
}

Status Frame::FindBadOps(const arrow::RecordBatch& shaped, std::vector<BadValue>* bad) const {
  const auto kind = plan_->source().merge.kind;
  if (kind != odf::MergeKind::kChangelogStream && kind != odf::MergeKind::kUpsertStream) return {};
  const std::string& column = plan_->shape().vocabulary.op;
  // A column that is missing or no number is the merge's to refuse: it is so for all records.
  if (!merge::CheckOpColumn(*shaped.schema(), column).ok()) return {};
  std::vector<merge::BadOp> bad_ops;
  ASSIGN_OR_RETURN(const auto ops, merge::ReadOps(shaped, column, &bad_ops));
  for (auto& op : bad_ops) bad->push_back({op.row, column, std::move(op.value), std::move(op.reason)});
  return {};
}

// The number of a row's record: of the input, or of the query's result where there is a query.
int64_t Frame::RecordOf(int64_t row) const {
  if (preprocess_) return rows_out_ + row + 1;
  return InputRecordOf(row);
}

int64_t Frame::InputRecordOf(int64_t row) const {
  // Of the bad records, those that lie before the row: each has so many good ones between it and the start.
  size_t low = 0, high = left_out_.size();
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    const int64_t good_before = left_out_[middle] - last_record_ - 1 - static_cast<int64_t>(middle);
    if (good_before <= row) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return last_record_ + row + 1 + static_cast<int64_t>(low);
}

void Frame::PassBatch() {
  if (batch_rows_ == 0) return;
  last_record_ = InputRecordOf(batch_rows_ - 1);
  batch_rows_ = 0;
  std::erase_if(left_out_, [this](int64_t record) { return record <= last_record_; });
}

Result<std::shared_ptr<arrow::RecordBatch>> Frame::LeaveOut(const std::vector<BadValue>& bad,
                                                            const arrow::RecordBatch& rows,
                                                            const arrow::RecordBatch& shaped) {
  std::vector<const BadValue*> first(static_cast<size_t>(rows.num_rows()), nullptr);
  for (const auto& value : bad) {
    auto& of_row = first[static_cast<size_t>(value.row)];
    if (of_row == nullptr) of_row = &value;
  }
  columnar::EnsureArrowCompute();
  arrow::BooleanBuilder keep;
  std::vector<columnar::Reject> rejects;
  for (size_t row = 0; row < first.size(); ++row) {
    RETURN_IF_ARROW_ERROR(keep.Append(first[row] == nullptr));
    if (first[row] == nullptr) continue;
    columnar::Reject reject;
    reject.record = RecordOf(static_cast<int64_t>(row));
    reject.of_result = preprocess_ != nullptr;
    reject.column = first[row]->column;
    reject.value = first[row]->value;
    reject.reason = first[row]->reason;
    if (rejects_->policy() == OnError::kSkip) {
      ASSIGN_OR_RETURN(reject.raw, TextOf(*rows.Slice(static_cast<int64_t>(row), 1)));
    }
    rejects.push_back(std::move(reject));
  }
  RETURN_IF_ERROR(rejects_->Add(input_name_, rejects));
  ASSIGN_OR_RETURN_ARROW(auto mask, keep.Finish());
  ASSIGN_OR_RETURN_ARROW(auto kept,
                         arrow::compute::Filter(arrow::Datum(shaped.Slice(0)), arrow::Datum(mask)));
  return kept.record_batch();
}

Result<std::shared_ptr<arrow::Schema>> StaticFrameSchema(const SourceDefinition& source,
                                                         const odf::ChainState& state) {
  ASSIGN_OR_RETURN(auto plan, FramePlan::Make(source, state, std::nullopt));
  auto schema = plan->read().schema;
  if (!schema) return schema;
  ASSIGN_OR_RETURN(auto preprocess, plan->TakePreprocess(schema, sql::Limits()));
  ASSIGN_OR_RETURN(auto shaper, plan->ShaperOf(preprocess ? preprocess->schema() : schema));
  return shaper.schema();
}

std::shared_ptr<arrow::Schema> JoinColumns(const std::vector<std::shared_ptr<arrow::Schema>>& schemas) {
  arrow::FieldVector joined;
  for (const auto& schema : schemas) {
    if (!schema) continue;
    for (const auto& field : schema->fields()) {
      const auto is_same = [&](const auto& known) { return known->name() == field->name(); };
      if (std::none_of(joined.begin(), joined.end(), is_same)) joined.push_back(field);
    }
  }
  if (joined.empty()) return nullptr;
  for (auto& column : joined) {
    const bool is_optional = std::any_of(schemas.begin(), schemas.end(), [&](const auto& schema) {
      if (!schema) return false;
      const auto field = schema->GetFieldByName(column->name());
      return !field || field->nullable();
    });
    if (is_optional) column = column->WithNullable(true);
  }
  return arrow::schema(std::move(joined));
}

std::vector<std::shared_ptr<arrow::Schema>> StaticSchemasOfOthers(const odf::ChainState& state,
                                                                  const std::string& name) {
  std::vector<std::shared_ptr<arrow::Schema>> schemas;
  odf::ChainState alone;
  alone.vocabulary = state.vocabulary;
  for (const auto& [other, source] : state.push_sources) {
    if (other == name) continue;
    auto schema = StaticFrameSchema(DefinitionOf(source.event), alone);
    if (schema.ok() && *schema) schemas.push_back(std::move(*schema));
  }
  return schemas;
}

}  // namespace sluice::ingest

#include "ingest/frame.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>

#include "base/cancel.h"
#include "base/names.h"

namespace sluice::ingest {
namespace {

ShapeSpec ShapeFor(const SourceDefinition& source, const odf::ChainState& state) {
  ShapeSpec spec;
  spec.vocabulary = state.vocabulary;
  spec.merge = source.merge.kind;
  spec.default_preprocess = !source.preprocess && !source.read.schema;
  spec.dataset_schema = state.schema;
  return spec;
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
  auto definition = [](const odf::AddPushSource& event) {
    return SourceDefinition{event.source_name, event.read, event.preprocess, event.merge};
  };
  std::vector<std::string> names;
  for (const auto& [source_name, source] : state.push_sources) names.push_back(source_name);
  if (name) {
    if (auto it = state.push_sources.find(*name); it != state.push_sources.end())
      return definition(it->second.event);
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
  if (names.size() == 1) return definition(state.push_sources.begin()->second.event);
  if (names.size() > 1) {
    return MakeError(ErrorCode::kConflict,
                     "dataset has several push sources; choose one with --source-name: {}", JoinNames(names));
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
                                           std::optional<odf::ReadFormat> format, RejectLog* rejects,
                                           const FrameOptions& options) {
  std::unique_ptr<Frame> frame(new Frame());
  frame->input_name_ = input->name();
  frame->rejects_ = rejects;
  frame->progress_ = options.progress;
  frame->stop_ = options.read.stop;
  if (frame->progress_) frame->progress_->OnInput(input->name(), input->size());
  const odf::ReadStep step =
      format && *format != source.read.format ? read::OverrideFormat(source.read, *format) : source.read;
  ASSIGN_OR_RETURN(frame->reader_, read::OpenReader(step, std::move(input), options.read));
  auto schema = frame->reader_->schema();
  if (!schema) {
    // Not one record could be read: no frame, but perhaps rejects.
    ASSIGN_OR_RETURN(auto none, frame->NextRead());
    if (none) return Internal("rows without a schema");
    return frame;
  }
  if (source.preprocess) {
    ASSIGN_OR_RETURN(frame->preprocess_,
                     sql::Preprocess::Prepare(ToSpec(*source.preprocess), schema, options.sql));
    schema = frame->preprocess_->schema();
  }
  frame->shape_ = ShapeFor(source, state);
  frame->unshaped_ = std::move(schema);
  auto shaper = Shaper::Make(frame->shape_, frame->unshaped_);
  if (!shaper.ok()) return std::move(shaper).error().With(frame->input_name_);
  frame->shaper_ = std::move(*shaper);
  frame->schema_ = frame->shaper_->schema();
  return frame;
}

Status Frame::AlignTo(const odf::DataSchema& schema) {
  if (!shaper_) return {};
  shape_.dataset_schema = schema;
  auto shaper = Shaper::Make(shape_, unshaped_);
  if (!shaper.ok()) return std::move(shaper).error().With(input_name_);
  shaper_ = std::move(*shaper);
  schema_ = shaper_->schema();
  return {};
}

void Frame::CloseInput() {
  reader_.reset();
  preprocess_.reset();
  pending_.clear();
}

Result<std::shared_ptr<arrow::RecordBatch>> Frame::NextRead() {
  while (true) {
    RETURN_IF_ERROR(CheckCancelled(stop_));
    ASSIGN_OR_RETURN(auto batch, reader_->Next());
    if (!batch) {
      if (rejects_->count() > 0 && rejects_->policy() == OnError::kFail)
        return rejects_->ToError(input_name_);
      return std::shared_ptr<arrow::RecordBatch>();
    }
    if (!batch->rejects.empty()) RETURN_IF_ERROR(rejects_->Add(input_name_, batch->rejects));
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
  ASSIGN_OR_RETURN(auto batch, NextQueried());
  if (!batch) return batch;
  auto shaped = shaper_->Apply(*batch, rows_out_ + 1);
  if (!shaped.ok()) return std::move(shaped).error().With(input_name_);
  rows_out_ += batch->num_rows();
  return shaped;
}

Result<std::shared_ptr<arrow::Schema>> StaticFrameSchema(const SourceDefinition& source,
                                                         const odf::ChainState& state) {
  ASSIGN_OR_RETURN(auto schema, read::StaticSchema(source.read));
  if (!schema) return schema;
  if (source.preprocess) {
    ASSIGN_OR_RETURN(auto preprocess,
                     sql::Preprocess::Prepare(ToSpec(*source.preprocess), schema, sql::Limits()));
    schema = preprocess->schema();
  }
  ASSIGN_OR_RETURN(auto shaper, Shaper::Make(ShapeFor(source, state), schema));
  return shaper.schema();
}

}  // namespace sluice::ingest

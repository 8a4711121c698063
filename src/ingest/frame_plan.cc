#include "ingest/frame_plan.h"

#include <arrow/type.h>

#include <algorithm>

#include "ingest/frame.h"
#include "odf/arrow_schema.h"
#include "read/text_options.h"

namespace sluice::ingest {
namespace {

constexpr size_t kIdleQueries = 4;

std::vector<odf::AddPushSource> Others(const odf::ChainState& state, const std::string& name) {
  std::vector<odf::AddPushSource> others;
  for (const auto& [other, source] : state.push_sources) {
    if (other != name) others.push_back(source.event);
  }
  return others;
}

}  // namespace

Result<std::shared_ptr<FramePlan>> FramePlan::Make(SourceDefinition source, const odf::ChainState& state,
                                                   std::optional<read::InputFormat> format) {
  std::shared_ptr<FramePlan> plan(new FramePlan());
  ASSIGN_OR_RETURN(plan->read_,
                   read::PlanRead(format ? read::OverrideFormat(source.read, *format) : source.read));
  plan->shape_.vocabulary = state.vocabulary;
  plan->shape_.merge = source.merge.kind;
  plan->shape_.default_preprocess = !source.preprocess && !source.read.schema;
  ASSIGN_OR_RETURN(const auto cast, read::CastOptionsOf(plan->read_->step));
  plan->shape_.time_pattern = cast.timestamp_pattern;
  plan->shape_.is_inferred = source.preprocess || !source.read.schema;
  plan->shape_.dataset_schema = state.schema;
  plan->may_be_record_by_record_ = plan->read_->step.format == odf::ReadFormat::kNdJson &&
                                   plan->read_->schema && state.schema && !plan->read_->step.encoding;
  plan->source_ = std::move(source);
  if (!state.schema) RETURN_IF_ERROR(plan->AgreeWithOthers(state));
  return plan;
}

Status FramePlan::AgreeWithOthers(const odf::ChainState& state) {
  others_ = Others(state, source_.name);
  if (others_.empty()) return {};
  auto schemas = StaticSchemasOfOthers(state, source_.name);
  if (schemas.empty()) return {};
  odf::ChainState alone;
  alone.vocabulary = state.vocabulary;
  ASSIGN_OR_RETURN(auto own, StaticFrameSchema(source_, alone));
  schemas.insert(schemas.begin(), std::move(own));
  ASSIGN_OR_RETURN(auto joined, odf::FromArrow(*JoinColumns(schemas)));
  const auto& names = state.vocabulary;
  for (const auto& name : {names.offset, names.op, names.system_time}) {
    const auto is_same = [&](const auto& field) { return field.name == name; };
    if (std::none_of(joined.fields.begin(), joined.fields.end(), is_same))
      joined.fields.push_back({name, *odf::FromArrow(*arrow::int64())});
  }
  shape_.agreed_schema = std::move(joined);
  return {};
}

bool FramePlan::HoldsFor(const odf::ChainState& state) const {
  if (shape_.vocabulary != state.vocabulary || shape_.dataset_schema != state.schema) return false;
  if (!state.schema && others_ != Others(state, source_.name)) return false;
  auto source = SelectPushSource(state, source_.name);
  return source.ok() && *source == source_;
}

bool FramePlan::IsRecordByRecord() {
  if (!may_be_record_by_record_ || !source_.preprocess) return may_be_record_by_record_;
  std::lock_guard lock(mutex_);
  if (!query_is_row_by_row_) {
    const auto answer = sql::IsRowByRow(ToSpec(*source_.preprocess));
    query_is_row_by_row_ = answer.ok() && *answer;
  }
  return *query_is_row_by_row_;
}

Result<std::unique_ptr<sql::Preprocess>> FramePlan::TakePreprocess(
    const std::shared_ptr<arrow::Schema>& input, const sql::Limits& limits) {
  if (!source_.preprocess) return std::unique_ptr<sql::Preprocess>();
  {
    std::lock_guard lock(mutex_);
    for (auto it = idle_.begin(); it != idle_.end(); ++it) {
      if (it->input != input && !it->input->Equals(*input)) continue;
      auto preprocess = std::move(it->preprocess);
      idle_.erase(it);
      return preprocess;
    }
  }
  return sql::Preprocess::Prepare(ToSpec(*source_.preprocess), input, limits);
}

void FramePlan::GiveBack(const std::shared_ptr<arrow::Schema>& input,
                         std::unique_ptr<sql::Preprocess> preprocess) {
  std::lock_guard lock(mutex_);
  if (idle_.size() == kIdleQueries) idle_.erase(idle_.begin());
  idle_.push_back({input, std::move(preprocess)});
}

Result<Shaper> FramePlan::ShaperOf(const std::shared_ptr<arrow::Schema>& frame) {
  {
    std::lock_guard lock(mutex_);
    if (shaper_ && (shaped_ == frame || shaped_->Equals(*frame))) return *shaper_;
  }
  ASSIGN_OR_RETURN(auto shaper, Shaper::Make(shape_, frame));
  std::lock_guard lock(mutex_);
  shaped_ = frame;
  shaper_ = shaper;
  return shaper;
}

}  // namespace sluice::ingest

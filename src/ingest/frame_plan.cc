#include "ingest/frame_plan.h"

#include <arrow/type.h>

#include "ingest/frame.h"

namespace sluice::ingest {
namespace {

constexpr size_t kIdleQueries = 4;

}  // namespace

Result<std::shared_ptr<FramePlan>> FramePlan::Make(SourceDefinition source, const odf::ChainState& state,
                                                   std::optional<read::InputFormat> format) {
  std::shared_ptr<FramePlan> plan(new FramePlan());
  ASSIGN_OR_RETURN(plan->read_,
                   read::PlanRead(format ? read::OverrideFormat(source.read, *format) : source.read));
  plan->shape_.vocabulary = state.vocabulary;
  plan->shape_.merge = source.merge.kind;
  plan->shape_.default_preprocess = !source.preprocess && !source.read.schema;
  plan->shape_.dataset_schema = state.schema;
  plan->source_ = std::move(source);
  return plan;
}

bool FramePlan::HoldsFor(const odf::ChainState& state) const {
  if (shape_.vocabulary != state.vocabulary || shape_.dataset_schema != state.schema) return false;
  auto source = SelectPushSource(state, source_.name);
  return source.ok() && *source == source_;
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

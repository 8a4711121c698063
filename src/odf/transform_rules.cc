// Rules of transforms: their normal form, the inputs that SetTransform declares, and how ExecuteTransform
// walks them.
#include <set>
#include <vector>

#include "odf/chain_rules_internal.h"

namespace sluice::odf {
namespace {

std::string Show(const std::optional<uint64_t>& value) { return value ? fmt::format("{}", *value) : "none"; }
std::string Show(const std::optional<Multihash>& value) { return value ? value->ToString() : "none"; }

// The inputs that a query must have, in order: those of the newest SetTransform when no query has run since,
// else those of the previous query.
std::vector<std::string> ExpectedInputs(const ChainState& state) {
  std::vector<std::string> ids;
  if (state.transform && (!state.last_data || state.transform_sequence > state.last_data->sequence)) {
    for (const TransformInput& input : state.transform->inputs) ids.push_back(input.dataset_ref);
    return ids;
  }
  for (const ExecuteTransformInput& input : state.last_data->inputs)
    ids.push_back(input.dataset_id.ToString());
  return ids;
}

Status CheckInputOrder(const ChainState& state, const ExecuteTransform& event) {
  const std::vector<std::string> expected = ExpectedInputs(state);
  if (event.query_inputs.size() != expected.size()) {
    return BrokenRule(rule::kInvalid, "the query has {} inputs, the transform {}", event.query_inputs.size(),
                      expected.size());
  }
  for (size_t i = 0; i < expected.size(); ++i) {
    const DatasetId& actual = event.query_inputs[i].dataset_id;
    const auto declared = DatasetId::Parse(expected[i]);
    if (declared.ok() && *declared == actual) continue;
    return BrokenRule(rule::kInvalid, "inputs must keep their declared order: input {} is {}, declared is {}",
                      i + 1, actual.ToString(), expected[i]);
  }
  return OkStatus();
}

Status CheckInterval(const ExecuteTransformInput& input, size_t number) {
  if (input.new_block_hash && input.new_block_hash == input.prev_block_hash) {
    return BrokenRule(rule::kInvalid, "input {} has the empty block interval {}..{}", number,
                      Show(input.prev_block_hash), Show(input.new_block_hash));
  }
  if (input.new_offset && input.new_offset == input.prev_offset) {
    return BrokenRule(rule::kInvalid, "input {} has the empty offset interval {}..{}", number,
                      Show(input.prev_offset), Show(input.new_offset));
  }
  return OkStatus();
}

Status CheckContinues(const ExecuteTransformInput& before, const ExecuteTransformInput& input,
                      size_t number) {
  const auto& last_block = before.new_block_hash ? before.new_block_hash : before.prev_block_hash;
  if (input.prev_block_hash != last_block) {
    return BrokenRule(rule::kInvalid, "input {} continues after block {}, but the previous query ended at {}",
                      number, Show(input.prev_block_hash), Show(last_block));
  }
  const auto& last_offset = before.new_offset ? before.new_offset : before.prev_offset;
  if (input.prev_offset != last_offset) {
    return BrokenRule(rule::kInvalid,
                      "input {} continues after offset {}, but the previous query ended at {}", number,
                      Show(input.prev_offset), Show(last_offset));
  }
  return OkStatus();
}

Status CheckInputIntervals(const std::optional<ChainState::LastData>& last, const ExecuteTransform& event) {
  for (size_t i = 0; i < event.query_inputs.size(); ++i) {
    const ExecuteTransformInput& input = event.query_inputs[i];
    RETURN_IF_ERROR(CheckInterval(input, i + 1));
    if (last && i < last->inputs.size()) RETURN_IF_ERROR(CheckContinues(last->inputs[i], input, i + 1));
    if (input.new_offset && !input.new_block_hash) {
      return BrokenRule(rule::kInvalid, "input {} has newOffset {} without newBlockHash", i + 1,
                        *input.new_offset);
    }
  }
  return OkStatus();
}

bool Advances(const ChainState& state, const ExecuteTransform& event) {
  if (event.new_data || event.new_watermark != state.watermark()) return true;
  const bool same_checkpoint = event.new_checkpoint
                                   ? event.prev_checkpoint == event.new_checkpoint->physical_hash
                                   : !event.prev_checkpoint;
  if (!same_checkpoint) return true;
  for (const ExecuteTransformInput& input : event.query_inputs) {
    if (input.new_block_hash) return true;
  }
  return false;
}

}  // namespace

Status CheckNormalized(const TransformSql& transform, std::string_view field) {
  if (transform.query) return BrokenRule(rule::kInvalid, "{}: 'query' has to be given as 'queries'", field);
  if (!transform.queries || transform.queries->empty()) {
    return BrokenRule(rule::kInvalid, "{}: there are no queries", field);
  }
  const std::vector<SqlQueryStep>& steps = *transform.queries;
  if (steps.back().alias) {
    return BrokenRule(rule::kInvalid, "{}: the last query is the result and has no alias, not '{}'", field,
                      *steps.back().alias);
  }
  for (size_t i = 0; i + 1 < steps.size(); ++i) {
    if (steps[i].alias) continue;
    return BrokenRule(rule::kInvalid, "{}: query {} of {} needs an alias", field, i + 1, steps.size());
  }
  return OkStatus();
}

Status CheckTransformAlone(const SetTransform& event, Judging judging) {
  if (event.inputs.empty()) return BrokenRule(rule::kInvalid, "SetTransform has no inputs");
  std::set<DatasetId> seen;
  for (const TransformInput& input : event.inputs) {
    const auto id = DatasetId::Parse(input.dataset_ref);
    if (!id.ok()) {
      return BrokenRule(rule::kInvalid, "transform input '{}' is not resolved to a dataset id",
                        input.dataset_ref);
    }
    if (!input.alias)
      return BrokenRule(rule::kInvalid, "transform input '{}' has no alias", input.dataset_ref);
    if (!seen.insert(*id).second) {
      return BrokenRule(rule::kInvalid, "transform input '{}' is given twice", input.dataset_ref);
    }
  }
  return judging == Judging::kAppend ? CheckNormalized(event.transform, "transform") : OkStatus();
}

Status CheckExecuteTransform(const ChainState& state, const ExecuteTransform& event) {
  if (event.new_data && !state.schema) {
    return BrokenRule(rule::kInvalid, "ExecuteTransform has data, but no SetDataSchema comes before it");
  }
  if (!state.transform && !state.last_data) {
    return BrokenRule(rule::kInvalid, "ExecuteTransform needs a SetTransform before it");
  }
  RETURN_IF_ERROR(CheckInputOrder(state, event));
  RETURN_IF_ERROR(CheckInputIntervals(state.last_data, event));
  const std::optional<Multihash> before = state.last_data ? state.last_data->checkpoint : std::nullopt;
  if (event.prev_checkpoint != before) {
    return BrokenRule(rule::kInvalid, "prevCheckpoint is {}, but the previous checkpoint is {}",
                      Show(event.prev_checkpoint), Show(before));
  }
  if (!Advances(state, event)) {
    return BrokenRule(rule::kNoOp, "neither data nor checkpoint nor watermark nor an input advances");
  }
  return OkStatus();
}

}  // namespace sluice::odf

// Rules about a block's place, time, watermark, offsets and data. They come in two passes: first what the
// block alone tells, then what the chain before it tells, each in the order of odf-metadata.md 6.3, so that
// the first error is the one that the reference reports.
#include <limits>

#include "odf/chain_rules_internal.h"

namespace sluice::odf {
namespace {

// Offsets are stored as Int64.
constexpr uint64_t kMaxOffset = std::numeric_limits<int64_t>::max();

std::string Show(const std::optional<uint64_t>& value) { return value ? fmt::format("{}", *value) : "none"; }
std::string Show(const std::optional<Multihash>& value) { return value ? value->ToString() : "none"; }

Status CheckNotEmpty(const MetadataEvent& event, const DataEventView& view) {
  if (view.new_data || view.new_checkpoint || view.new_watermark) return OkStatus();
  if (const auto* add = std::get_if<AddData>(&event)) {
    if (add->new_source_state) return OkStatus();
    return BrokenRule(rule::kNoOp,
                      "AddData carries neither data nor checkpoint nor watermark nor source state");
  }
  return BrokenRule(rule::kNoOp, "ExecuteTransform carries neither data nor checkpoint nor watermark");
}

Status CheckOffsetsAlone(const DataEventView& view) {
  if (!view.new_data) return OkStatus();
  const OffsetInterval& interval = view.new_data->offset_interval;
  if (view.prev_offset && *view.prev_offset >= kMaxOffset) {
    return BrokenRule(rule::kInvalid, "no offset follows prevOffset {}", *view.prev_offset);
  }
  const uint64_t expected = view.prev_offset ? *view.prev_offset + 1 : 0;
  if (interval.start != expected) {
    return BrokenRule(rule::kOffsets, "expected the data to start at offset {}, not at {}", expected,
                      interval.start);
  }
  if (interval.end < interval.start || interval.end > kMaxOffset) {
    return BrokenRule(rule::kInvalid, "bad offset interval {}..{}", interval.start, interval.end);
  }
  return OkStatus();
}

Status CheckDataAlone(const MetadataEvent& event) {
  const std::optional<DataEventView> view = ViewData(event);
  if (!view) return OkStatus();
  RETURN_IF_ERROR(CheckNotEmpty(event, *view));
  return CheckOffsetsAlone(*view);
}

Status CheckSchemaFormAlone(const SetDataSchema& event) {
  if (event.raw_arrow_schema && event.schema) {
    return BrokenRule(rule::kInvalid, "SetDataSchema has both rawArrowSchema and schema");
  }
  if (!event.raw_arrow_schema && !event.schema) {
    return BrokenRule(rule::kInvalid, "SetDataSchema has neither schema nor rawArrowSchema");
  }
  return OkStatus();
}

// Place and time against the previous block.
Status CheckPlace(const ChainState& state, const MetadataBlock& block) {
  if (std::holds_alternative<Seed>(block.event)) {
    return BrokenRule(rule::kSeedInChain, "a Seed can only start a chain, this one has {} blocks",
                      state.sequence + 1);
  }
  if (*block.prev_block_hash != *state.head) {
    return BrokenRule(rule::kPrevMismatch, "the block names {} as its previous block, the newest block is {}",
                      block.prev_block_hash->ToString(), state.head->ToString());
  }
  if (block.sequence_number != state.sequence + 1) {
    return BrokenRule(rule::kSequence, "block {} cannot follow block {}", block.sequence_number,
                      state.sequence);
  }
  if (block.system_time < state.system_time) {
    return BrokenRule(rule::kSystemTime, "system time {} is before {} of the previous block",
                      FormatInstant(block.system_time), FormatInstant(state.system_time));
  }
  return OkStatus();
}

// The kind of dataset that an event belongs to, or nothing when it fits both.
std::optional<DatasetKind> KindOf(const MetadataEvent& event) {
  if (std::holds_alternative<SetTransform>(event) || std::holds_alternative<ExecuteTransform>(event)) {
    return DatasetKind::kDerivative;
  }
  if (std::holds_alternative<AddData>(event) || std::holds_alternative<SetPollingSource>(event) ||
      std::holds_alternative<AddPushSource>(event) || std::holds_alternative<DisablePollingSource>(event) ||
      std::holds_alternative<DisablePushSource>(event)) {
    return DatasetKind::kRoot;
  }
  return std::nullopt;
}

Status CheckKind(const ChainState& state, const MetadataEvent& event) {
  const std::optional<DatasetKind> needed = KindOf(event);
  if (!needed || *needed == state.kind) return OkStatus();
  return BrokenRule(rule::kInvalid, "{} belongs in a {} dataset, this one is {}", KindNameOf(event),
                    *needed == DatasetKind::kRoot ? "root" : "derivative",
                    state.kind == DatasetKind::kRoot ? "root" : "derivative");
}

Status CheckWatermark(const ChainState& state, const DataEventView& view) {
  const std::optional<Instant> before = state.watermark();
  if (!before) return OkStatus();
  if (!view.new_watermark) {
    return BrokenRule(rule::kWatermark, "the watermark {} is dropped, it has to be carried",
                      FormatInstant(*before));
  }
  if (*view.new_watermark < *before) {
    return BrokenRule(rule::kWatermark, "watermark {} is before {} of the previous data",
                      FormatInstant(*view.new_watermark), FormatInstant(*before));
  }
  return OkStatus();
}

Status CheckPrevOffset(const ChainState& state, const DataEventView& view, Judging judging) {
  if (!state.last_data) {
    if (!view.prev_offset || judging == Judging::kReplay) return OkStatus();
    return BrokenRule(rule::kInvalid, "prevOffset is {}, but no data event comes before", *view.prev_offset);
  }
  if (view.prev_offset == state.last_offset()) return OkStatus();
  return BrokenRule(rule::kInvalid, "prevOffset is {}, but the last offset in the chain is {}",
                    Show(view.prev_offset), Show(state.last_offset()));
}

// Whether the source has a newer state with this event than without it.
bool StateAdvances(const ChainState& state, const AddData& event, Judging judging) {
  const std::optional<SourceState>& carried = event.new_source_state;
  const std::optional<SourceState> previous = state.last_data ? state.last_data->source_state : std::nullopt;
  if (judging == Judging::kReplay) return carried != previous;
  // What others would refuse when they read it, we do not write: a source that was added anew has no state,
  // and may bring the one that its forerunner brought last.
  if (!carried || carried == previous) return false;
  const auto differs = [&](const std::optional<SourceState>& newest) {
    return !newest || newest->kind != carried->kind || newest->value != carried->value;
  };
  switch (TrackOf(state, *carried)) {
    case StateTrack::kPolling:
      return differs(state.polling_source->state);
    case StateTrack::kPush:
      return differs(state.push_sources.at(carried->source_name).state);
    case StateTrack::kPushFile:
      return differs(state.push_sources.at(carried->source_name).file_state);
    case StateTrack::kNone:
      break;
  }
  return true;
}

Status CheckAddData(const ChainState& state, const AddData& event, Judging judging) {
  if (event.new_data && !state.schema) {
    return BrokenRule(rule::kInvalid, "AddData has data, but no SetDataSchema comes before it");
  }
  const std::optional<Multihash> before = state.last_data ? state.last_data->checkpoint : std::nullopt;
  if (event.prev_checkpoint != before) {
    return BrokenRule(rule::kInvalid, "prevCheckpoint is {}, but the previous checkpoint is {}",
                      Show(event.prev_checkpoint), Show(before));
  }
  const bool same_checkpoint = event.new_checkpoint
                                   ? event.prev_checkpoint == event.new_checkpoint->physical_hash
                                   : !event.prev_checkpoint;
  if (!event.new_data && same_checkpoint && event.new_watermark == state.watermark() &&
      !StateAdvances(state, event, judging)) {
    return BrokenRule(rule::kNoOp, "neither data nor checkpoint nor watermark nor source state advances");
  }
  return OkStatus();
}

}  // namespace

std::optional<DataEventView> ViewData(const MetadataEvent& event) {
  if (const auto* e = std::get_if<AddData>(&event)) {
    return DataEventView{e->prev_checkpoint, e->prev_offset, e->new_data, e->new_checkpoint,
                         e->new_watermark};
  }
  if (const auto* e = std::get_if<ExecuteTransform>(&event)) {
    return DataEventView{e->prev_checkpoint, e->prev_offset, e->new_data, e->new_checkpoint,
                         e->new_watermark};
  }
  return std::nullopt;
}

Status CheckEventAlone(const MetadataEvent& event, Judging judging) {
  RETURN_IF_ERROR(CheckDataAlone(event));
  if (const auto* e = std::get_if<AddPushSource>(&event)) return CheckPushSourceAlone(*e, judging);
  if (const auto* e = std::get_if<SetPollingSource>(&event)) return CheckPollingSourceAlone(*e, judging);
  if (const auto* e = std::get_if<SetTransform>(&event)) return CheckTransformAlone(*e, judging);
  if (const auto* e = std::get_if<SetDataSchema>(&event)) return CheckSchemaFormAlone(*e);
  return OkStatus();
}

Status CheckBlockInChain(const ChainState& state, const MetadataBlock& block, Judging judging) {
  RETURN_IF_ERROR(CheckPlace(state, block));
  RETURN_IF_ERROR(CheckKind(state, block.event));
  if (const std::optional<DataEventView> view = ViewData(block.event)) {
    RETURN_IF_ERROR(CheckWatermark(state, *view));
    RETURN_IF_ERROR(CheckPrevOffset(state, *view, judging));
  }
  const MetadataEvent& event = block.event;
  if (const auto* e = std::get_if<AddPushSource>(&event)) return CheckAddPushSource(state, *e);
  if (std::holds_alternative<SetPollingSource>(event)) return CheckSetPollingSource(state);
  if (const auto* e = std::get_if<DisablePushSource>(&event)) return CheckDisablePushSource(state, *e);
  if (std::holds_alternative<DisablePollingSource>(event)) return CheckDisablePollingSource(state);
  if (const auto* e = std::get_if<AddData>(&event)) return CheckAddData(state, *e, judging);
  if (const auto* e = std::get_if<ExecuteTransform>(&event)) return CheckExecuteTransform(state, *e);
  if (const auto* e = std::get_if<SetDataSchema>(&event)) return CheckSetDataSchema(state, *e, judging);
  return OkStatus();
}

}  // namespace sluice::odf

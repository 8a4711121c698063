#include "odf/chain_state.h"

#include <utility>

#include "odf/arrow_schema.h"
#include "odf/chain_rules_internal.h"

namespace sluice::odf {
namespace {

// The schema that a SetDataSchema puts in force, in ODF form.
Result<DataSchema> SchemaOf(const SetDataSchema& event) {
  if (event.schema) return *event.schema;
  auto converted = FromRawArrow(*event.raw_arrow_schema);
  if (!converted.ok()) {
    return BrokenRule(rule::kInvalid, "rawArrowSchema cannot be read: {}", converted.error().message());
  }
  return StripEncodings(*std::move(converted));
}

// Takes one event that has been judged into the state. Cannot fail.
class Advance {
 public:
  Advance(ChainState& state, const MetadataBlock& block, const Multihash& hash,
          std::optional<DataSchema> schema)
      : state_(state), block_(block), hash_(hash), schema_(std::move(schema)) {}

  void operator()(const Seed& event) {
    state_.dataset_id = event.dataset_id;
    state_.kind = event.dataset_kind;
  }
  void operator()(const AddData& event) {
    ChainState::LastData& last = RecordData();
    last.source_state = event.new_source_state;
    if (state_.polling_source && (event.new_data || event.new_source_state))
      state_.polling_source->polled = true;
    if (event.new_source_state) RecordState(*event.new_source_state);
  }
  void operator()(const ExecuteTransform& event) {
    ChainState::LastData& last = RecordData();
    last.is_transform = true;
    last.inputs = event.query_inputs;
  }
  void operator()(const SetPollingSource& event) {
    auto& active = state_.polling_source;
    const bool keeps = active && WithDefaults(active->event.fetch) == WithDefaults(event.fetch);
    if (!keeps) active = ChainState::PollingSource{.activated_at = block_.sequence_number};
    active->event = event;
  }
  void operator()(const DisablePollingSource&) { state_.polling_source.reset(); }
  void operator()(const AddPushSource& event) {
    auto [entry, added] = state_.push_sources.try_emplace(event.source_name);
    if (added) entry->second.activated_at = block_.sequence_number;
    entry->second.event = event;
  }
  void operator()(const DisablePushSource& event) { state_.push_sources.erase(event.source_name); }
  void operator()(const SetTransform& event) {
    state_.transform = event;
    state_.transform_sequence = block_.sequence_number;
  }
  void operator()(const SetDataSchema& event) {
    state_.schema = std::move(schema_);
    state_.schema_is_legacy = !event.schema;
  }
  void operator()(const SetVocab& event) { state_.vocabulary = Vocabulary::From(event); }
  void operator()(const SetInfo& event) { state_.info = event; }
  void operator()(const SetLicense& event) { state_.license = event; }
  void operator()(const SetAttachments& event) { state_.attachments = event; }

 private:
  ChainState::LastData& RecordData() {
    const DataEventView view = *ViewData(block_.event);
    if (view.new_data) {
      const OffsetInterval& interval = view.new_data->offset_interval;
      state_.data_blocks += 1;
      state_.data_records += interval.end - interval.start + 1;
      state_.data_bytes += view.new_data->size;
    }
    state_.last_data_time = block_.system_time;
    return state_.last_data.emplace(ChainState::LastData{.sequence = block_.sequence_number,
                                                         .last_offset = view.last_offset(),
                                                         .watermark = view.new_watermark,
                                                         .checkpoint = view.checkpoint()});
  }

  void RecordState(const SourceState& source_state) {
    switch (TrackOf(state_, source_state)) {
      case StateTrack::kNone:
        return;
      case StateTrack::kPolling:
        state_.polling_source->state = source_state;
        state_.polling_source->state_sequence = block_.sequence_number;
        return;
      case StateTrack::kPush: {
        ChainState::PushSource& source = state_.push_sources[source_state.source_name];
        source.state = source_state;
        source.state_sequence = block_.sequence_number;
        source.state_block = hash_;
        return;
      }
      case StateTrack::kPushFile: {
        ChainState::PushSource& source = state_.push_sources[source_state.source_name];
        source.file_state = source_state;
        source.file_state_sequence = block_.sequence_number;
        return;
      }
    }
  }

  ChainState& state_;
  const MetadataBlock& block_;
  const Multihash& hash_;
  std::optional<DataSchema> schema_;
};

// Seed first, one number a block: what the block alone tells about its place (V2, V3).
Status CheckPlaceAlone(const MetadataBlock& block) {
  const bool is_seed = std::holds_alternative<Seed>(block.event);
  if (is_seed && block.prev_block_hash) {
    return BrokenRule(rule::kSeedInChain, "a Seed can only start a chain, this one follows block {}",
                      block.prev_block_hash->ToString());
  }
  if (!is_seed && !block.prev_block_hash) {
    return BrokenRule(rule::kFirstBlock, "a chain begins with Seed, not with {}", KindNameOf(block.event));
  }
  if (is_seed && block.sequence_number != 0) {
    return BrokenRule(rule::kSequence, "the first block has sequence number 0, not {}",
                      block.sequence_number);
  }
  return OkStatus();
}

}  // namespace

StateTrack TrackOf(const ChainState& state, const SourceState& source_state) {
  const bool is_file = source_state.kind == kFileStateKind;
  if (state.polling_source) {
    const bool is_polling =
        source_state.source_name == kPollingSourceName || source_state.source_name == kReferencePollingName;
    return is_polling && !is_file ? StateTrack::kPolling : StateTrack::kNone;
  }
  if (!state.push_sources.contains(source_state.source_name)) return StateTrack::kNone;
  return is_file ? StateTrack::kPushFile : StateTrack::kPush;
}

Status ChainState::Apply(const MetadataBlock& block, const Multihash& hash, Judging judging) {
  RETURN_IF_ERROR(CheckPlaceAlone(block));
  RETURN_IF_ERROR(CheckEventAlone(block.event, judging));
  if (head) {
    RETURN_IF_ERROR(CheckBlockInChain(*this, block, judging));
  } else if (block.prev_block_hash) {
    return BrokenRule(rule::kPrevNotFound, "block {} is not in this chain, which is empty",
                      block.prev_block_hash->ToString());
  }
  std::optional<DataSchema> new_schema;
  if (const auto* event = std::get_if<SetDataSchema>(&block.event)) {
    ASSIGN_OR_RETURN(new_schema, SchemaOf(*event));
  }

  std::visit(Advance(*this, block, hash, std::move(new_schema)), block.event);
  head = hash;
  sequence = block.sequence_number;
  system_time = block.system_time;
  return OkStatus();
}

}  // namespace sluice::odf

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "odf/chain_state.h"

// The rules behind ChainState::Apply, one function a subject (docs/formats/chain-rules.md). All are pure;
// they report kInvalidArgument with a message that starts with the rule's name.
namespace sluice::odf {

namespace rule {
inline constexpr std::string_view kSeedInChain = "AppendingSeedBlockToNonEmptyChain";
inline constexpr std::string_view kFirstBlock = "FirstBlockMustBeSeed";
inline constexpr std::string_view kSequence = "SequenceIntegrity";
inline constexpr std::string_view kPrevNotFound = "PrevBlockNotFound";
inline constexpr std::string_view kPrevMismatch = "PrevBlockHashMismatch";
inline constexpr std::string_view kSystemTime = "SystemTimeIsNotMonotonic";
inline constexpr std::string_view kWatermark = "WatermarkIsNotMonotonic";
inline constexpr std::string_view kNoOp = "NoOpEvent";
inline constexpr std::string_view kOffsets = "OffsetsAreNotSequential";
inline constexpr std::string_view kInvalid = "InvalidEvent";
}  // namespace rule

template <class... Args>
Error BrokenRule(std::string_view rule, fmt::format_string<Args...> format, Args&&... args) {
  return Error(ErrorCode::kInvalidArgument,
               fmt::format("{}: {}", rule, fmt::format(format, std::forward<Args>(args)...)));
}

// What AddData and ExecuteTransform have in common. Refers to the event it was made from.
struct DataEventView {
  const std::optional<Multihash>& prev_checkpoint;
  const std::optional<uint64_t>& prev_offset;
  const std::optional<DataSlice>& new_data;
  const std::optional<Checkpoint>& new_checkpoint;
  const std::optional<Instant>& new_watermark;

  std::optional<uint64_t> last_offset() const {
    return new_data ? std::optional<uint64_t>(new_data->offset_interval.end) : prev_offset;
  }
  std::optional<Multihash> checkpoint() const {
    return new_checkpoint ? std::optional<Multihash>(new_checkpoint->physical_hash) : std::nullopt;
  }
};
std::optional<DataEventView> ViewData(const MetadataEvent& event);

// Where the chain keeps the state that an AddData carries: with an active source, or nowhere.
enum class StateTrack : uint8_t { kNone, kPolling, kPush, kPushFile };
StateTrack TrackOf(const ChainState& state, const SourceState& source_state);

// Kind of the state that repeats of a command are recognised by; tracked apart from the client's
// (decisions.md 13).
inline constexpr std::string_view kFileStateKind = "sluice/file";
// The name under which the reference writes polling state (decisions.md 3).
inline constexpr std::string_view kReferencePollingName = "default";

// --- what the event alone tells ---
Status CheckEventAlone(const MetadataEvent& event, Judging judging);
Status CheckPushSourceAlone(const AddPushSource& event, Judging judging);
Status CheckPollingSourceAlone(const SetPollingSource& event, Judging judging);
Status CheckTransformAlone(const SetTransform& event, Judging judging);
Status CheckNormalized(const TransformSql& transform, std::string_view field);

// --- what the chain before it tells; `state` has a head ---
Status CheckBlockInChain(const ChainState& state, const MetadataBlock& block, Judging judging);
Status CheckAddPushSource(const ChainState& state, const AddPushSource& event);
Status CheckSetPollingSource(const ChainState& state);
Status CheckDisablePushSource(const ChainState& state, const DisablePushSource& event);
Status CheckDisablePollingSource(const ChainState& state);
Status CheckExecuteTransform(const ChainState& state, const ExecuteTransform& event);
Status CheckSetDataSchema(const ChainState& state, const SetDataSchema& event, Judging judging);

// --- equality that takes an absent option for its default (odf-metadata.md 4.6) ---
DataType WithDefaults(DataType type);
DataSchema WithDefaults(DataSchema schema);
ReadStep WithDefaults(ReadStep read);
FetchStep WithDefaults(FetchStep fetch);
AddPushSource WithDefaults(AddPushSource event);

// Types and names of a schema that is to be stored: distinct names, legal nesting, types with a logical hash.
// `what` names it in errors, `has_query` says that an SQL query reads it (decisions.md 6).
Status CheckDeclaredSchema(const DataSchema& schema, std::string_view what, bool has_query);

}  // namespace sluice::odf

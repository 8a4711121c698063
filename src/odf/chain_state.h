#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "odf/events.h"

namespace sluice::odf {

// How strictly a block is judged.
enum class Judging : uint8_t {
  kAppend,  // a block about to be written: every rule of docs/formats/chain-rules.md
  kReplay,  // a block that some program wrote long ago: without the rules marked "append only" there, which
            // the reference implementation does not keep
};

// Everything about a chain that the next block is judged by and that ingestion needs, derived block by block.
// A value: copy it to try a block. Cost of Apply is set by the block, not by the chain's length.
struct ChainState {
  struct PushSource {
    AddPushSource event;
    uint64_t activated_at = 0;         // sequence of the AddPushSource met while the name was not active
    std::optional<SourceState> state;  // newest client state since then (push-protocol.md 1)
    std::optional<uint64_t> state_sequence;  // block that carries `state`
    std::optional<Multihash> state_block;    // its hash
    std::optional<SourceState> file_state;   // newest `sluice/file` state since then (decisions.md 13)
    std::optional<uint64_t> file_state_sequence;
    bool operator==(const PushSource&) const = default;
  };
  struct PollingSource {
    SetPollingSource event;
    uint64_t activated_at = 0;         // sequence of the SetPollingSource since which states count
    bool polled = false;               // since then: rows or a state; a watermark alone is no poll
    std::optional<SourceState> state;  // another fetch step starts without one (decisions.md 3)
    std::optional<uint64_t> state_sequence;
    bool operator==(const PollingSource&) const = default;
  };
  // What the rules look at in the nearest previous data event.
  struct LastData {
    uint64_t sequence = 0;
    std::optional<uint64_t> last_offset;
    std::optional<Instant> watermark;
    std::optional<Multihash> checkpoint;        // newCheckpoint's hash
    std::optional<SourceState> source_state;    // AddData only
    std::vector<ExecuteTransformInput> inputs;  // ExecuteTransform only
    bool is_transform = false;
    bool operator==(const LastData&) const = default;
  };

  std::optional<Multihash> head;  // hash of the newest block; absent before the Seed
  uint64_t sequence = 0;          // of that block
  Instant system_time;            // of that block
  DatasetId dataset_id;
  DatasetKind kind = DatasetKind::kRoot;

  Vocabulary vocabulary;
  std::optional<DataSchema> schema;                // ODF form, legacy ones converted
  bool schema_is_legacy = false;                   // the newest SetDataSchema held raw Arrow
  std::map<std::string, PushSource> push_sources;  // the active ones
  std::optional<PollingSource> polling_source;
  std::optional<SetTransform> transform;
  uint64_t transform_sequence = 0;
  std::optional<LastData> last_data;
  std::optional<SetInfo> info;
  std::optional<SetLicense> license;
  std::optional<SetAttachments> attachments;

  // Totals that `list` shows.
  uint64_t data_blocks = 0;  // data events with a slice
  uint64_t data_records = 0;
  uint64_t data_bytes = 0;
  std::optional<Instant> last_data_time;  // system time of the newest data event

  std::optional<uint64_t> last_offset() const { return last_data ? last_data->last_offset : std::nullopt; }
  std::optional<Instant> watermark() const { return last_data ? last_data->watermark : std::nullopt; }

  // Judges `block` (validators V2-V13 of odf-metadata.md 6.3 as amended in decisions.md 1) and, when it
  // holds, advances this state to it; `hash` is the block's hash. On failure the state is unchanged. Errors:
  // kInvalidArgument whose message starts with the rule's name (`SystemTimeIsNotMonotonic: ...`).
  Status Apply(const MetadataBlock& block, const Multihash& hash, Judging judging = Judging::kAppend);

  // Checksummed bytes for the cache of derived files, and back. Errors: kCorruption.
  std::string Serialize() const;
  static Result<ChainState> Deserialize(std::string_view bytes);

  bool operator==(const ChainState&) const = default;
};

// Differences between two schemas judged by odf-metadata.md 6.5; `allow_optionality` after a legacy schema.
// Errors: kInvalidArgument naming the columns; message starts with `NoOpEvent` when nothing differs.
Status CheckSchemaEvolution(const DataSchema& before, const DataSchema& after, bool allow_optionality);

// Rules of an event that need no chain: options, separators, key lists, types without a logical hash
// (decisions.md 6, 7; odf-metadata.md 6.6). Run when a source is added. Errors: kInvalidArgument,
// kUnsupported.
Status CheckEvent(const MetadataEvent& event);

// A Snapshot source beside another active source would retract the other's rows (push-protocol.md 2). No rule
// of the chain: asked before a source is added, unless the user says that the sharing is meant. Errors:
// kInvalidArgument naming the sources in the way.
Status CheckSharedSnapshot(const ChainState& state, const AddPushSource& source);

}  // namespace sluice::odf

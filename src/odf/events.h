#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/instant.h"
#include "multiformats/did.h"
#include "multiformats/multihash.h"
#include "odf/schema.h"

// Metadata events as written in a chain (odf-metadata.md 4.6). Plain values. Absent optional fields stay
// absent: they have other bytes than explicit defaults; the accessor functions below apply the defaults.
namespace sluice::odf {

using multiformats::DatasetId;
using multiformats::Multihash;
using Strings = std::vector<std::string>;

enum class DatasetKind : int32_t { kRoot = 0, kDerivative = 1 };
enum class CompressionFormat : int32_t { kGzip = 0, kZip = 1 };
enum class SourceOrdering : int32_t { kByEventTime = 0, kByName = 1 };
enum class MqttQos : int32_t { kAtMostOnce = 0, kAtLeastOnce = 1, kExactlyOnce = 2 };

// Values of the operation-type column in data.
enum class Op : int32_t { kAppend = 0, kRetract = 1, kCorrectFrom = 2, kCorrectTo = 3 };

// --- data bookkeeping ---

struct OffsetInterval {
  uint64_t start = 0;
  uint64_t end = 0;  // inclusive
  bool operator==(const OffsetInterval&) const = default;
};
struct DataSlice {
  Multihash logical_hash;
  Multihash physical_hash;
  OffsetInterval offset_interval;
  uint64_t size = 0;  // bytes of the Parquet file
  bool operator==(const DataSlice&) const = default;
};
struct Checkpoint {
  Multihash physical_hash;
  uint64_t size = 0;
  bool operator==(const Checkpoint&) const = default;
};
struct SourceState {
  std::string source_name;
  std::string kind;
  std::string value;
  bool operator==(const SourceState&) const = default;
};

// --- fetch ---

struct EventTimeSource {
  enum class Kind : uint8_t { kFromMetadata = 1, kFromPath = 2, kFromSystemTime = 3 };
  Kind kind = Kind::kFromMetadata;
  std::string pattern;                          // FromPath
  std::optional<std::string> timestamp_format;  // FromPath
  bool operator==(const EventTimeSource&) const = default;
};
enum class SourceCaching : uint8_t { kForever = 1 };
struct RequestHeader {
  std::string name;
  std::string value;
  bool operator==(const RequestHeader&) const = default;
};
struct EnvVar {
  std::string name;
  std::optional<std::string> value;
  bool operator==(const EnvVar&) const = default;
};
struct MqttTopicSubscription {
  std::string path;
  std::optional<MqttQos> qos;
  bool operator==(const MqttTopicSubscription&) const = default;
};
struct FetchUrl {
  std::string url;
  std::optional<EventTimeSource> event_time;
  std::optional<SourceCaching> cache;
  std::optional<std::vector<RequestHeader>> headers;
  bool operator==(const FetchUrl&) const = default;
};
struct FetchFilesGlob {
  std::string path;
  std::optional<EventTimeSource> event_time;
  std::optional<SourceCaching> cache;
  std::optional<SourceOrdering> order;
  bool operator==(const FetchFilesGlob&) const = default;
};
struct FetchContainer {
  std::string image;
  std::optional<Strings> command;
  std::optional<Strings> args;
  std::optional<std::vector<EnvVar>> env;
  bool operator==(const FetchContainer&) const = default;
};
struct FetchMqtt {
  std::string host;
  int32_t port = 0;
  std::optional<std::string> username;
  std::optional<std::string> password;
  std::vector<MqttTopicSubscription> topics;
  bool operator==(const FetchMqtt&) const = default;
};
struct FetchEthereumLogs {
  std::optional<uint64_t> chain_id;
  std::optional<std::string> node_url;
  std::optional<std::string> filter;
  std::optional<std::string> signature;
  bool operator==(const FetchEthereumLogs&) const = default;
};
// Variant index + 1 = FlatBuffers discriminant, here and in the unions below.
using FetchStep = std::variant<FetchUrl, FetchFilesGlob, FetchContainer, FetchMqtt, FetchEthereumLogs>;

// --- prepare ---

struct PrepDecompress {
  CompressionFormat format = CompressionFormat::kGzip;
  std::optional<std::string> sub_path;
  bool operator==(const PrepDecompress&) const = default;
};
struct PrepPipe {
  Strings command;
  bool operator==(const PrepPipe&) const = default;
};
using PrepStep = std::variant<PrepDecompress, PrepPipe>;

// --- read ---

enum class ReadFormat : uint8_t {
  kCsv = 1,
  kGeoJson,
  kEsriShapefile,
  kParquet,
  kJson,
  kNdJson,
  kNdGeoJson,
};
// "Csv", "NdJson", ...
std::string_view NameOf(ReadFormat format);

// One read step of any format; fields that a format does not have stay absent.
struct ReadStep {
  ReadFormat format = ReadFormat::kNdJson;
  std::optional<Strings> ddl_schema;
  std::optional<DataSchema> schema;
  std::optional<std::string> sub_path;          // Json, EsriShapefile
  std::optional<std::string> separator;         // Csv
  std::optional<std::string> quote;             // Csv
  std::optional<std::string> escape;            // Csv
  std::optional<bool> header;                   // Csv
  std::optional<bool> infer_schema;             // Csv
  std::optional<std::string> null_value;        // Csv
  std::optional<std::string> encoding;          // Csv, Json, NdJson
  std::optional<std::string> date_format;       // Csv, Json, NdJson
  std::optional<std::string> timestamp_format;  // Csv, Json, NdJson
  bool operator==(const ReadStep&) const = default;
};

// --- preprocess ---

struct SqlQueryStep {
  std::optional<std::string> alias;
  std::string query;
  bool operator==(const SqlQueryStep&) const = default;
};
struct TemporalTable {
  std::string name;
  Strings primary_key;
  bool operator==(const TemporalTable&) const = default;
};
struct TransformSql {
  std::string engine;
  std::optional<std::string> version;
  std::optional<std::string> query;  // only before normalization
  std::optional<std::vector<SqlQueryStep>> queries;
  std::optional<std::vector<TemporalTable>> temporal_tables;
  bool operator==(const TransformSql&) const = default;
};

// --- merge ---

enum class MergeKind : uint8_t { kAppend = 1, kLedger, kSnapshot, kChangelogStream, kUpsertStream };
// "Append", "Ledger", ...
std::string_view NameOf(MergeKind kind);

struct MergeStrategy {
  MergeKind kind = MergeKind::kAppend;
  Strings primary_key;                     // all but Append
  std::optional<Strings> compare_columns;  // Snapshot
  bool operator==(const MergeStrategy&) const = default;
};

// --- events ---

struct Seed {
  DatasetId dataset_id;
  DatasetKind dataset_kind = DatasetKind::kRoot;
  bool operator==(const Seed&) const = default;
};
struct AddData {
  std::optional<Multihash> prev_checkpoint;
  std::optional<uint64_t> prev_offset;
  std::optional<DataSlice> new_data;
  std::optional<Checkpoint> new_checkpoint;
  std::optional<Instant> new_watermark;
  std::optional<SourceState> new_source_state;
  std::optional<std::string> extra;  // JSON text, as in DataField
  bool operator==(const AddData&) const = default;
};
struct ExecuteTransformInput {
  DatasetId dataset_id;
  std::optional<Multihash> prev_block_hash;
  std::optional<Multihash> new_block_hash;
  std::optional<uint64_t> prev_offset;
  std::optional<uint64_t> new_offset;
  bool operator==(const ExecuteTransformInput&) const = default;
};
struct ExecuteTransform {
  std::vector<ExecuteTransformInput> query_inputs;
  std::optional<Multihash> prev_checkpoint;
  std::optional<uint64_t> prev_offset;
  std::optional<DataSlice> new_data;
  std::optional<Checkpoint> new_checkpoint;
  std::optional<Instant> new_watermark;
  bool operator==(const ExecuteTransform&) const = default;
};
struct SetPollingSource {
  FetchStep fetch;
  std::optional<std::vector<PrepStep>> prepare;
  ReadStep read;
  std::optional<TransformSql> preprocess;
  MergeStrategy merge;
  bool operator==(const SetPollingSource&) const = default;
};
struct DisablePollingSource {
  bool operator==(const DisablePollingSource&) const = default;
};
struct AddPushSource {
  std::string source_name;
  ReadStep read;
  std::optional<TransformSql> preprocess;
  MergeStrategy merge;
  bool operator==(const AddPushSource&) const = default;
};
struct DisablePushSource {
  std::string source_name;
  bool operator==(const DisablePushSource&) const = default;
};
struct TransformInput {
  std::string dataset_ref;  // DID text once stored
  std::optional<std::string> alias;
  bool operator==(const TransformInput&) const = default;
};
struct SetTransform {
  std::vector<TransformInput> inputs;
  TransformSql transform;
  bool operator==(const SetTransform&) const = default;
};
struct SetVocab {
  std::optional<std::string> offset_column;
  std::optional<std::string> operation_type_column;
  std::optional<std::string> system_time_column;
  std::optional<std::string> event_time_column;
  bool operator==(const SetVocab&) const = default;
};
struct AttachmentEmbedded {
  std::string path;
  std::string content;
  bool operator==(const AttachmentEmbedded&) const = default;
};
struct SetAttachments {
  std::vector<AttachmentEmbedded> items;
  bool operator==(const SetAttachments&) const = default;
};
struct SetInfo {
  std::optional<std::string> description;
  std::optional<Strings> keywords;
  bool operator==(const SetInfo&) const = default;
};
struct SetLicense {
  std::string short_name;
  std::string name;
  std::optional<std::string> spdx_id;
  std::string website_url;
  bool operator==(const SetLicense&) const = default;
};
struct SetDataSchema {
  std::optional<std::string> raw_arrow_schema;  // legacy bytes; exactly one of the two is set
  std::optional<DataSchema> schema;
  bool operator==(const SetDataSchema&) const = default;
};

// Variant index + 1 = FlatBuffers discriminant.
using MetadataEvent =
    std::variant<AddData, ExecuteTransform, Seed, SetPollingSource, SetTransform, SetVocab, SetAttachments,
                 SetInfo, SetLicense, SetDataSchema, AddPushSource, DisablePushSource, DisablePollingSource>;

// "AddData", "SetPollingSource", ...
std::string_view KindNameOf(const MetadataEvent& event);

struct MetadataBlock {
  Instant system_time;
  std::optional<Multihash> prev_block_hash;
  uint64_t sequence_number = 0;
  MetadataEvent event;
  bool operator==(const MetadataBlock&) const = default;
};

// What a person writes to create a dataset.
struct DatasetSnapshot {
  std::string name;  // may contain `account/`
  DatasetKind kind = DatasetKind::kRoot;
  std::vector<MetadataEvent> metadata;
};

// Names of the system columns with SetVocab's absences filled in.
struct Vocabulary {
  std::string offset = "offset";
  std::string op = "op";
  std::string system_time = "system_time";
  std::string event_time = "event_time";
  bool operator==(const Vocabulary&) const = default;

  static Vocabulary From(const SetVocab& event) {
    Vocabulary v;
    if (event.offset_column) v.offset = *event.offset_column;
    if (event.operation_type_column) v.op = *event.operation_type_column;
    if (event.system_time_column) v.system_time = *event.system_time_column;
    if (event.event_time_column) v.event_time = *event.event_time_column;
    return v;
  }
};

// Name under which polling state is written (RFC-009); `default` is read as the same (decisions.md 3).
inline constexpr std::string_view kPollingSourceName = "odf/polling";

}  // namespace sluice::odf

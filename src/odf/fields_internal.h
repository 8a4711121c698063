#pragma once

#include <array>
#include <concepts>
#include <string_view>
#include <type_traits>
#include <utility>

#include "odf/events.h"

// The one description of every object of the format: its fields in declaration order, which is at once the
// slot order of FlatBuffers (odf-metadata.md 4.6) and the order of YAML (5.3). Encoder, decoder, YAML reader
// and YAML writer are four visitors of it, so that no field can be known to one and forgotten by another.
//
// A visitor is called as `v("fieldName", member)`. The member's type says what the field is: std::optional =
// optional, a type with UnionOf = union (two slots), with EnumOf = enum, else a scalar, text, hash, list or a
// table of its own. `v.Extra` marks attribute text, `v.Blob` bytes.
namespace sluice::odf {

template <class T, class U>
concept Is = std::same_as<std::remove_const_t<T>, U>;

// --- enums: names by value, from 0 ---

template <class T>
struct EnumOf;
template <>
struct EnumOf<DatasetKind> {
  static constexpr std::string_view kWhat = "dataset kind";
  static constexpr std::array<std::string_view, 2> kNames = {"Root", "Derivative"};
};
template <>
struct EnumOf<CompressionFormat> {
  static constexpr std::string_view kWhat = "compression format";
  static constexpr std::array<std::string_view, 2> kNames = {"Gzip", "Zip"};
};
template <>
struct EnumOf<SourceOrdering> {
  static constexpr std::string_view kWhat = "order";
  static constexpr std::array<std::string_view, 2> kNames = {"ByEventTime", "ByName"};
};
template <>
struct EnumOf<MqttQos> {
  static constexpr std::string_view kWhat = "quality of service";
  static constexpr std::array<std::string_view, 3> kNames = {"AtMostOnce", "AtLeastOnce", "ExactlyOnce"};
};
template <>
struct EnumOf<TimeUnit> {
  static constexpr std::string_view kWhat = "time unit";
  static constexpr std::array<std::string_view, 4> kNames = {"Second", "Millisecond", "Microsecond",
                                                             "Nanosecond"};
};

template <class T>
concept IsEnum = requires { EnumOf<std::remove_const_t<T>>::kNames; };

// --- tables ---

template <class A, Is<OffsetInterval> T>
void Describe(A& v, T& x) {
  v("start", x.start);
  v("end", x.end);
}
template <class A, Is<DataSlice> T>
void Describe(A& v, T& x) {
  v("logicalHash", x.logical_hash);
  v("physicalHash", x.physical_hash);
  v("offsetInterval", x.offset_interval);
  v("size", x.size);
}
template <class A, Is<Checkpoint> T>
void Describe(A& v, T& x) {
  v("physicalHash", x.physical_hash);
  v("size", x.size);
}
template <class A, Is<SourceState> T>
void Describe(A& v, T& x) {
  v("sourceName", x.source_name);
  v("kind", x.kind);
  v("value", x.value);
}
template <class A, Is<DataField> T>
void Describe(A& v, T& x) {
  v("name", x.name);
  v("type", x.type);
  v.Extra("extra", x.extra);
}
template <class A, Is<DataSchema> T>
void Describe(A& v, T& x) {
  v("fields", x.fields);
  v.Extra("extra", x.extra);
}

// A child that a malformed type lacks reads as Null.
template <class T>
auto& ChildOf(T& type, size_t index) {
  if constexpr (std::is_const_v<T>) {
    static const DataType kNull;
    return index < type.children.size() ? type.children[index] : kNull;
  } else {
    if (index >= type.children.size()) type.children.resize(index + 1);
    return type.children[index];
  }
}

template <class A, Is<DataType> T>
void Describe(A& v, T& x) {
  switch (x.kind) {
    case TypeKind::kBinary:
      v("fixedLength", x.fixed_length);
      break;
    case TypeKind::kDecimal:
      v("precision", x.precision);
      v("scale", x.scale);
      break;
    case TypeKind::kDuration:
    case TypeKind::kTime:
      v("unit", x.unit);
      break;
    case TypeKind::kTimestamp:
      v("unit", x.unit);
      v("timezone", x.timezone);
      break;
    case TypeKind::kList:
      v("itemType", ChildOf(x, 0));
      v("fixedLength", x.fixed_length);
      break;
    case TypeKind::kMap:
      v("keyType", ChildOf(x, 0));
      v("valueType", ChildOf(x, 1));
      v("keysSorted", x.keys_sorted);
      break;
    case TypeKind::kOption:
      v("inner", ChildOf(x, 0));
      break;
    case TypeKind::kStruct:
      v("fields", x.fields);
      break;
    default:
      break;
  }
}

template <class A, Is<EventTimeSource> T>
void Describe(A& v, T& x) {
  if (x.kind != EventTimeSource::Kind::kFromPath) return;
  v("pattern", x.pattern);
  v("timestampFormat", x.timestamp_format);
}
template <class A, Is<SourceCaching> T>
void Describe(A&, T&) {}
template <class A, Is<RequestHeader> T>
void Describe(A& v, T& x) {
  v("name", x.name);
  v("value", x.value);
}
template <class A, Is<EnvVar> T>
void Describe(A& v, T& x) {
  v("name", x.name);
  v("value", x.value);
}
template <class A, Is<MqttTopicSubscription> T>
void Describe(A& v, T& x) {
  v("path", x.path);
  v("qos", x.qos);
}
template <class A, Is<FetchUrl> T>
void Describe(A& v, T& x) {
  v("url", x.url);
  v("eventTime", x.event_time);
  v("cache", x.cache);
  v("headers", x.headers);
}
template <class A, Is<FetchFilesGlob> T>
void Describe(A& v, T& x) {
  v("path", x.path);
  v("eventTime", x.event_time);
  v("cache", x.cache);
  v("order", x.order);
}
template <class A, Is<FetchContainer> T>
void Describe(A& v, T& x) {
  v("image", x.image);
  v("command", x.command);
  v("args", x.args);
  v("env", x.env);
}
template <class A, Is<FetchMqtt> T>
void Describe(A& v, T& x) {
  v("host", x.host);
  v("port", x.port);
  v("username", x.username);
  v("password", x.password);
  v("topics", x.topics);
}
template <class A, Is<FetchEthereumLogs> T>
void Describe(A& v, T& x) {
  v("chainId", x.chain_id);
  v("nodeUrl", x.node_url);
  v("filter", x.filter);
  v("signature", x.signature);
}
template <class A, Is<PrepDecompress> T>
void Describe(A& v, T& x) {
  v("format", x.format);
  v("subPath", x.sub_path);
}
template <class A, Is<PrepPipe> T>
void Describe(A& v, T& x) {
  v("command", x.command);
}

template <class A, Is<ReadStep> T>
void Describe(A& v, T& x) {
  switch (x.format) {
    case ReadFormat::kCsv:
      v("ddlSchema", x.ddl_schema);
      v("separator", x.separator);
      v("encoding", x.encoding);
      v("quote", x.quote);
      v("escape", x.escape);
      v("header", x.header);
      v("inferSchema", x.infer_schema);
      v("nullValue", x.null_value);
      v("dateFormat", x.date_format);
      v("timestampFormat", x.timestamp_format);
      break;
    case ReadFormat::kJson:
      v("subPath", x.sub_path);
      v("ddlSchema", x.ddl_schema);
      v("dateFormat", x.date_format);
      v("encoding", x.encoding);
      v("timestampFormat", x.timestamp_format);
      break;
    case ReadFormat::kNdJson:
      v("ddlSchema", x.ddl_schema);
      v("dateFormat", x.date_format);
      v("encoding", x.encoding);
      v("timestampFormat", x.timestamp_format);
      break;
    case ReadFormat::kEsriShapefile:
      v("ddlSchema", x.ddl_schema);
      v("subPath", x.sub_path);
      break;
    case ReadFormat::kGeoJson:
    case ReadFormat::kParquet:
    case ReadFormat::kNdGeoJson:
      v("ddlSchema", x.ddl_schema);
      break;
  }
  v("schema", x.schema);
}

template <class A, Is<SqlQueryStep> T>
void Describe(A& v, T& x) {
  v("alias", x.alias);
  v("query", x.query);
}
template <class A, Is<TemporalTable> T>
void Describe(A& v, T& x) {
  v("name", x.name);
  v("primaryKey", x.primary_key);
}
template <class A, Is<TransformSql> T>
void Describe(A& v, T& x) {
  v("engine", x.engine);
  v("version", x.version);
  v("query", x.query);
  v("queries", x.queries);
  v("temporalTables", x.temporal_tables);
}
template <class A, Is<MergeStrategy> T>
void Describe(A& v, T& x) {
  if (x.kind == MergeKind::kAppend) return;
  v("primaryKey", x.primary_key);
  if (x.kind == MergeKind::kSnapshot) v("compareColumns", x.compare_columns);
}
template <class A, Is<AttachmentEmbedded> T>
void Describe(A& v, T& x) {
  v("path", x.path);
  v("content", x.content);
}

// The union inside SetAttachments, which has one variant and is therefore not a type of its own in events.h.
template <class Items>
struct Attachments {
  Items& items;
};

// --- events ---

template <class A, Is<Seed> T>
void Describe(A& v, T& x) {
  v("datasetId", x.dataset_id);
  v("datasetKind", x.dataset_kind);
}
template <class A, Is<AddData> T>
void Describe(A& v, T& x) {
  v("prevCheckpoint", x.prev_checkpoint);
  v("prevOffset", x.prev_offset);
  v("newData", x.new_data);
  v("newCheckpoint", x.new_checkpoint);
  v("newWatermark", x.new_watermark);
  v("newSourceState", x.new_source_state);
  v.Extra("extra", x.extra);
}
template <class A, Is<ExecuteTransformInput> T>
void Describe(A& v, T& x) {
  v("datasetId", x.dataset_id);
  v("prevBlockHash", x.prev_block_hash);
  v("newBlockHash", x.new_block_hash);
  v("prevOffset", x.prev_offset);
  v("newOffset", x.new_offset);
}
template <class A, Is<ExecuteTransform> T>
void Describe(A& v, T& x) {
  v("queryInputs", x.query_inputs);
  v("prevCheckpoint", x.prev_checkpoint);
  v("prevOffset", x.prev_offset);
  v("newData", x.new_data);
  v("newCheckpoint", x.new_checkpoint);
  v("newWatermark", x.new_watermark);
}
template <class A, Is<SetPollingSource> T>
void Describe(A& v, T& x) {
  v("fetch", x.fetch);
  v("prepare", x.prepare);
  v("read", x.read);
  v("preprocess", x.preprocess);
  v("merge", x.merge);
}
template <class A, Is<DisablePollingSource> T>
void Describe(A&, T&) {}
template <class A, Is<AddPushSource> T>
void Describe(A& v, T& x) {
  v("sourceName", x.source_name);
  v("read", x.read);
  v("preprocess", x.preprocess);
  v("merge", x.merge);
}
template <class A, Is<DisablePushSource> T>
void Describe(A& v, T& x) {
  v("sourceName", x.source_name);
}
template <class A, Is<TransformInput> T>
void Describe(A& v, T& x) {
  v("datasetRef", x.dataset_ref);
  v("alias", x.alias);
}
template <class A, Is<SetTransform> T>
void Describe(A& v, T& x) {
  v("inputs", x.inputs);
  v("transform", x.transform);
}
template <class A, Is<SetVocab> T>
void Describe(A& v, T& x) {
  v("offsetColumn", x.offset_column);
  v("operationTypeColumn", x.operation_type_column);
  v("systemTimeColumn", x.system_time_column);
  v("eventTimeColumn", x.event_time_column);
}
template <class A, Is<SetAttachments> T>
void Describe(A& v, T& x) {
  Attachments<std::remove_reference_t<decltype((x.items))>> attachments{x.items};
  v("attachments", attachments);
}
template <class A, Is<SetInfo> T>
void Describe(A& v, T& x) {
  v("description", x.description);
  v("keywords", x.keywords);
}
template <class A, Is<SetLicense> T>
void Describe(A& v, T& x) {
  v("shortName", x.short_name);
  v("name", x.name);
  v("spdxId", x.spdx_id);
  v("websiteUrl", x.website_url);
}
template <class A, Is<SetDataSchema> T>
void Describe(A& v, T& x) {
  v.Blob("rawArrowSchema", x.raw_arrow_schema);
  v("schema", x.schema);
}
template <class A, Is<MetadataBlock> T>
void Describe(A& v, T& x) {
  v("systemTime", x.system_time);
  v("prevBlockHash", x.prev_block_hash);
  v("sequenceNumber", x.sequence_number);
  v("event", x.event);
}
template <class A, Is<DatasetSnapshot> T>
void Describe(A& v, T& x) {
  v("name", x.name);
  v("kind", x.kind);
  v("metadata", x.metadata);
}

// --- unions: names by discriminant, from 1 ---

template <class T>
struct UnionOf;

// A union whose discriminant is a variant's index + 1.
template <class Variant>
struct VariantUnion {
  static uint8_t KindOf(const Variant& x) { return static_cast<uint8_t>(x.index() + 1); }
  static void SetKind(Variant* x, uint8_t kind) {
    [&]<size_t... I>(std::index_sequence<I...>) {
      ((I + 1 == kind ? static_cast<void>(x->template emplace<I>()) : void()), ...);
    }(std::make_index_sequence<std::variant_size_v<Variant>>());
  }
  template <class A, class T>
  static void Fields(A& v, T& x) {
    std::visit([&](auto& alternative) { Describe(v, alternative); }, x);
  }
  static constexpr bool kShortForm = false;
};

// A union whose discriminant is a member of the struct.
template <class T, auto kKind, bool kShort = false>
struct TaggedUnion {
  static uint8_t KindOf(const T& x) { return static_cast<uint8_t>(x.*kKind); }
  static void SetKind(T* x, uint8_t kind) {
    *x = T();
    x->*kKind = static_cast<std::remove_reference_t<decltype(x->*kKind)>>(kind);
  }
  template <class A, class U>
  static void Fields(A& v, U& x) {
    Describe(v, x);
  }
  static constexpr bool kShortForm = kShort;
};

template <>
struct UnionOf<MetadataEvent> : VariantUnion<MetadataEvent> {
  static constexpr std::string_view kWhat = "metadata event";
  static constexpr std::array<std::string_view, 13> kNames = {"AddData",
                                                              "ExecuteTransform",
                                                              "Seed",
                                                              "SetPollingSource",
                                                              "SetTransform",
                                                              "SetVocab",
                                                              "SetAttachments",
                                                              "SetInfo",
                                                              "SetLicense",
                                                              "SetDataSchema",
                                                              "AddPushSource",
                                                              "DisablePushSource",
                                                              "DisablePollingSource"};
};
template <>
struct UnionOf<FetchStep> : VariantUnion<FetchStep> {
  static constexpr std::string_view kWhat = "fetch step";
  static constexpr std::array<std::string_view, 5> kNames = {"Url", "FilesGlob", "Container", "Mqtt",
                                                             "EthereumLogs"};
};
template <>
struct UnionOf<PrepStep> : VariantUnion<PrepStep> {
  static constexpr std::string_view kWhat = "prepare step";
  static constexpr std::array<std::string_view, 2> kNames = {"Decompress", "Pipe"};
};
template <>
struct UnionOf<ReadStep> : TaggedUnion<ReadStep, &ReadStep::format> {
  static constexpr std::string_view kWhat = "read step";
  static constexpr std::array<std::string_view, 7> kNames = {"Csv",  "GeoJson", "EsriShapefile", "Parquet",
                                                             "Json", "NdJson",  "NdGeoJson"};
};
template <>
struct UnionOf<MergeStrategy> : TaggedUnion<MergeStrategy, &MergeStrategy::kind> {
  static constexpr std::string_view kWhat = "merge strategy";
  static constexpr std::array<std::string_view, 5> kNames = {"Append", "Ledger", "Snapshot",
                                                             "ChangelogStream", "UpsertStream"};
};
template <>
struct UnionOf<EventTimeSource> : TaggedUnion<EventTimeSource, &EventTimeSource::kind, true> {
  static constexpr std::string_view kWhat = "event time source";
  static constexpr std::array<std::string_view, 3> kNames = {"FromMetadata", "FromPath", "FromSystemTime"};
};
template <>
struct UnionOf<DataType> : TaggedUnion<DataType, &DataType::kind, true> {
  static constexpr std::string_view kWhat = "type";
  static constexpr std::array<std::string_view, 24> kNames = {
      "Binary", "Bool",  "Date",  "Decimal", "Duration", "Float16", "Float32",   "Float64",
      "Int8",   "Int16", "Int32", "Int64",   "UInt8",    "UInt16",  "UInt32",    "UInt64",
      "List",   "Map",   "Null",  "Option",  "Struct",   "Time",    "Timestamp", "String"};
};
template <>
struct UnionOf<SourceCaching> {
  static constexpr std::string_view kWhat = "caching";
  static constexpr std::array<std::string_view, 1> kNames = {"Forever"};
  static constexpr bool kShortForm = true;
  static uint8_t KindOf(const SourceCaching& x) { return static_cast<uint8_t>(x); }
  static void SetKind(SourceCaching* x, uint8_t kind) { *x = static_cast<SourceCaching>(kind); }
  template <class A, class U>
  static void Fields(A&, U&) {}
};
template <>
struct UnionOf<TransformSql> {
  static constexpr std::string_view kWhat = "transform";
  static constexpr std::array<std::string_view, 1> kNames = {"Sql"};
  static constexpr bool kShortForm = false;
  static uint8_t KindOf(const TransformSql&) { return 1; }
  static void SetKind(TransformSql* x, uint8_t) { *x = TransformSql(); }
  template <class A, class U>
  static void Fields(A& v, U& x) {
    Describe(v, x);
  }
};
template <class Items>
struct UnionOf<Attachments<Items>> {
  static constexpr std::string_view kWhat = "attachments";
  static constexpr std::array<std::string_view, 1> kNames = {"Embedded"};
  static constexpr bool kShortForm = false;
  static uint8_t KindOf(const Attachments<Items>&) { return 1; }
  static void SetKind(Attachments<Items>*, uint8_t) {}
  template <class A, class U>
  static void Fields(A& v, U& x) {
    v("items", x.items);
  }
};

template <class T>
concept IsUnion = requires { UnionOf<std::remove_const_t<T>>::kNames; };

template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;

template <class T>
inline constexpr bool kIsVector = false;
template <class T>
inline constexpr bool kIsVector<std::vector<T>> = true;

}  // namespace sluice::odf

#include "odf/testing/chain_builder.h"

#include <utility>

namespace sluice::odf::testing {

Multihash TestHash(uint64_t number) {
  Multihash::Digest digest{};
  for (int i = 0; i < 8; ++i) digest[i] = static_cast<uint8_t>(number >> (8 * i));
  return Multihash(multiformats::HashCode::kSha3_256, digest);
}

ChainBuilder::ChainBuilder(DatasetKind kind) {
  const Status status = Append(Seed{.dataset_id = DatasetId::FromSeed("test"), .dataset_kind = kind});
  (void)status;  // a Seed on an empty chain holds
}

ChainBuilder ChainBuilder::Empty() { return ChainBuilder(NoSeed{}); }

MetadataBlock ChainBuilder::Next(MetadataEvent event) const {
  const uint64_t sequence = blocks_.size();
  return {.system_time = {.seconds = 1'600'000'000 + static_cast<int64_t>(sequence)},
          .prev_block_hash = state_.head,
          .sequence_number = sequence,
          .event = std::move(event)};
}

Status ChainBuilder::Append(MetadataEvent event, Judging judging) {
  return AppendBlock(Next(std::move(event)), judging);
}

Status ChainBuilder::AppendBlock(const MetadataBlock& block, Judging judging) {
  RETURN_IF_ERROR(state_.Apply(block, TestHash(blocks_.size() + 1), judging));
  blocks_.push_back(block);
  return OkStatus();
}

DataField Column(std::string name, TypeKind kind) {
  return {.name = std::move(name), .type = DataType::Of(kind)};
}
DataField OptionalColumn(std::string name, TypeKind kind) {
  return {.name = std::move(name), .type = DataType::Option(DataType::Of(kind))};
}

SetDataSchema TestSchema(std::vector<DataField> columns) {
  DataSchema schema;
  schema.fields = {Column("offset", TypeKind::kInt64), Column("op", TypeKind::kInt32),
                   Column("system_time", TypeKind::kTimestamp), Column("event_time", TypeKind::kTimestamp)};
  for (DataField& column : columns) schema.fields.push_back(std::move(column));
  return {.schema = std::move(schema)};
}

AddData NextData(const ChainState& state, uint64_t rows) {
  AddData data;
  data.prev_offset = state.last_offset();
  data.new_watermark = state.watermark();
  if (state.last_data) data.prev_checkpoint = state.last_data->checkpoint;
  if (rows > 0) {
    const uint64_t start = data.prev_offset ? *data.prev_offset + 1 : 0;
    data.new_data = DataSlice{.logical_hash = TestHash(start),
                              .physical_hash = TestHash(start + 1),
                              .offset_interval = {.start = start, .end = start + rows - 1},
                              .size = rows * 10};
  }
  return data;
}

AddData WithState(AddData data, std::string_view source, std::string_view kind, std::string_view value) {
  data.new_source_state =
      SourceState{.source_name = std::string(source), .kind = std::string(kind), .value = std::string(value)};
  return data;
}

AddPushSource TestPushSource(std::string name, MergeStrategy merge) {
  return {.source_name = std::move(name), .read = {.format = ReadFormat::kNdJson}, .merge = std::move(merge)};
}

SetPollingSource TestPollingSource(std::string url) {
  return {.fetch = FetchUrl{.url = std::move(url)}, .read = {.format = ReadFormat::kNdJson}};
}

TransformSql TestQuery(std::string query) {
  return {.engine = "datafusion", .queries = {{SqlQueryStep{.query = std::move(query)}}}};
}

}  // namespace sluice::odf::testing

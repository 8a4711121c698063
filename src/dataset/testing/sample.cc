#include "dataset/testing/sample.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "columnar/slice.h"
#include "columnar/testing/batches.h"
#include "odf/arrow_schema.h"

namespace sluice::dataset::testing {

std::shared_ptr<arrow::Schema> SampleColumns() {
  const auto millis = arrow::timestamp(arrow::TimeUnit::MILLI, "UTC");
  return arrow::schema({arrow::field("offset", arrow::int64(), false),
                        arrow::field("op", arrow::int32(), false), arrow::field("system_time", millis, false),
                        arrow::field("event_time", millis, false), arrow::field("city", arrow::utf8()),
                        arrow::field("population", arrow::int64())});
}

odf::SetDataSchema SampleSchema() {
  odf::SetDataSchema event;
  event.schema = odf::FromArrow(*SampleColumns()).value();
  return event;
}

odf::Seed SampleSeed() { return {multiformats::DatasetId::FromSeed("sample"), odf::DatasetKind::kRoot}; }

Instant SampleTime(int64_t seconds) {
  return {.seconds = 1'700'000'000 + seconds, .nanoseconds = 123'456'789};
}

std::shared_ptr<arrow::RecordBatch> SampleRows(uint64_t start, int64_t rows, Instant time) {
  std::string json = "[";
  for (int64_t i = 0; i < rows; ++i) {
    const uint64_t offset = start + static_cast<uint64_t>(i);
    json += fmt::format(R"({}[{}, 0, {}, {}, "city {}", {}])", i == 0 ? "" : ", ", offset, time.ToMillis(),
                        time.ToMillis() - 1000, offset % 7,
                        offset % 5 == 0 ? "null" : std::to_string(offset * 1000));
  }
  return columnar::testing::BatchFromJson(SampleColumns(), json + "]");
}

Result<WrittenSlice> WriteSlice(storage::Storage& storage, const std::shared_ptr<arrow::RecordBatch>& batch,
                                uint64_t start) {
  ASSIGN_OR_RETURN(auto file, storage.Stage("data"));
  columnar::SliceOptions options;
  options.dictionary_columns = {"op", "system_time"};
  options.threads = false;
  ASSIGN_OR_RETURN(auto writer, columnar::SliceWriter::Open(std::move(file), batch->schema(), options));
  RETURN_IF_ERROR(writer->Write(batch));
  ASSIGN_OR_RETURN(const auto info, writer->Close());
  const uint64_t end = start + static_cast<uint64_t>(info.rows) - 1;
  return WrittenSlice{{writer->TakeFile(), info.physical_hash},
                      {info.logical_hash, info.physical_hash, {start, end}, info.size}};
}

odf::AddData NextData(const ChainState& state, const odf::DataSlice& slice) {
  odf::AddData data;
  data.prev_offset = state.last_offset();
  if (state.last_data) data.prev_checkpoint = state.last_data->checkpoint;
  data.new_data = slice;
  data.new_watermark = state.watermark();
  return data;
}

DatasetStores MemoryStores() { return {storage::MakeMemoryStorage(), storage::MakeMemoryStorage()}; }

Result<std::unique_ptr<Dataset>> CreateSample(DatasetStores stores) {
  return Dataset::Create(std::move(stores), SampleSeed(), {SampleSchema()}, SampleTime(0));
}

Result<CommitResult> CommitRows(Dataset& dataset, int64_t rows) {
  const ChainState& state = dataset.state();
  const uint64_t start = state.last_offset() ? *state.last_offset() + 1 : 0;
  CommitRequest request;
  request.system_time = SampleTime(static_cast<int64_t>(state.sequence) + 1);
  ASSIGN_OR_RETURN(auto written,
                   WriteSlice(dataset.files(), SampleRows(start, rows, request.system_time), start));
  request.events.push_back(NextData(state, written.slice));
  request.slices.push_back(std::move(written.staged));
  return dataset.Commit(std::move(request));
}

Result<CommitResult> CommitInfo(Dataset& dataset, const std::string& description) {
  CommitRequest request;
  request.system_time = SampleTime(static_cast<int64_t>(dataset.state().sequence) + 1);
  odf::SetInfo info;
  info.description = description;
  request.events.push_back(std::move(info));
  return dataset.Commit(std::move(request));
}

}  // namespace sluice::dataset::testing

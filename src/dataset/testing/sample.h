#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dataset/dataset.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

// Small datasets with real slices, for tests.
namespace sluice::dataset::testing {

// offset, op, system_time, event_time, city (optional), population (optional).
std::shared_ptr<arrow::Schema> SampleColumns();
odf::SetDataSchema SampleSchema();
odf::Seed SampleSeed();
// A time `seconds` after that of the first block.
Instant SampleTime(int64_t seconds);

// Rows with offsets from `start`, all appended, their system time `time`.
std::shared_ptr<arrow::RecordBatch> SampleRows(uint64_t start, int64_t rows, Instant time);

struct WrittenSlice {
  StagedSlice staged;
  odf::DataSlice slice;
};
// A slice of `batch` that claims offsets from `start`. Errors: those of the storage.
Result<WrittenSlice> WriteSlice(storage::Storage& storage, const std::shared_ptr<arrow::RecordBatch>& batch,
                                uint64_t start);

// The event that puts `slice` at the end of a chain; the watermark is carried.
odf::AddData NextData(const ChainState& state, const odf::DataSlice& slice);

DatasetStores MemoryStores();
// Seed and schema.
Result<std::unique_ptr<Dataset>> CreateSample(DatasetStores stores);
// Adds `rows` rows in one block, at SampleTime(sequence).
Result<CommitResult> CommitRows(Dataset& dataset, int64_t rows);
// Adds a block without data.
Result<CommitResult> CommitInfo(Dataset& dataset, const std::string& description);

}  // namespace sluice::dataset::testing

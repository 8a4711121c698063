#include "pipeline/rows.h"

#include <arrow/api.h>
#include <arrow/compute/api.h>

#include <algorithm>

#include "columnar/arrow_status.h"

namespace sluice::pipeline {
namespace {

bool ReadyToCompute() {
  static const bool is_ready = arrow::compute::Initialize().ok();
  return is_ready;
}

}  // namespace

Result<std::shared_ptr<arrow::RecordBatch>> TakeRows(const std::shared_ptr<arrow::RecordBatch>& records,
                                                     const std::vector<int32_t>& rows) {
  if (!ReadyToCompute()) return Internal("the compute functions cannot be loaded");
  const auto count = static_cast<int64_t>(rows.size());
  const bool is_range =
      !rows.empty() && rows.back() - rows.front() + 1 == count && std::is_sorted(rows.begin(), rows.end());
  if (is_range) return records->Slice(rows.front(), count);
  const auto indices =
      std::make_shared<arrow::Int32Array>(count, arrow::Buffer::FromVector(std::vector<int32_t>(rows)));
  ASSIGN_OR_RETURN_ARROW(const arrow::Datum taken,
                         arrow::compute::Take(arrow::Datum(records), arrow::Datum(indices),
                                              arrow::compute::TakeOptions::NoBoundsCheck()));
  return taken.record_batch();
}

Result<Batch> TakeRows(const Batch& batch, const std::vector<int32_t>& rows) {
  Batch taken;
  ASSIGN_OR_RETURN(taken.records, TakeRows(batch.records, rows));
  taken.origins.reserve(rows.size());
  for (const int32_t row : rows)
    taken.origins.push_back(batch.origins.empty() ? row : batch.origins[static_cast<size_t>(row)]);
  taken.partition = batch.partition;
  taken.places = batch.places;
  if (!batch.next.empty()) {
    taken.next.reserve(rows.size());
    for (const int32_t row : rows) taken.next.push_back(batch.next[static_cast<size_t>(row)]);
  }
  return taken;
}

Result<std::shared_ptr<arrow::RecordBatch>> JoinRecords(
    const std::vector<std::shared_ptr<arrow::RecordBatch>>& parts) {
  if (parts.size() == 1) return parts.front();
  ASSIGN_OR_RETURN_ARROW(auto joined, arrow::ConcatenateRecordBatches(parts));
  return joined;
}

// Arrow's own walk over all buffers costs more than everything else that is done for a small delivery.
uint64_t SizeOf(const arrow::RecordBatch& records) {
  uint64_t bytes = 0;
  const auto rows = static_cast<uint64_t>(records.num_rows());
  for (int i = 0; i < records.num_columns(); ++i) {
    const arrow::Array& array = *records.column(i);
    if (array.null_bitmap()) bytes += (rows + 7) / 8;
    if (array.type_id() == arrow::Type::TIMESTAMP) {
      bytes += rows * sizeof(int64_t);
    } else {
      const auto& texts = static_cast<const arrow::StringArray&>(array);
      bytes += (rows + 1) * sizeof(int32_t) + static_cast<uint64_t>(texts.total_values_length());
    }
  }
  return bytes;
}

}  // namespace sluice::pipeline

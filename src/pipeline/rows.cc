#include "pipeline/rows.h"

#include <arrow/api.h>
#include <arrow/compute/api.h>
#include <arrow/util/byte_size.h>

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

uint64_t SizeOf(const arrow::RecordBatch& records) {
  return static_cast<uint64_t>(
      arrow::util::ReferencedBufferSize(records).ValueOr(arrow::util::TotalBufferSize(records)));
}

}  // namespace sluice::pipeline

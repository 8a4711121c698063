#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "pipeline/batch.h"

namespace sluice::pipeline {

// The rows with these numbers, in this order; positions and origins go along.
Result<Batch> TakeRows(const Batch& batch, const std::vector<int32_t>& rows);
Result<std::shared_ptr<arrow::RecordBatch>> TakeRows(const std::shared_ptr<arrow::RecordBatch>& records,
                                                     const std::vector<int32_t>& rows);
// One behind the other; at least one.
Result<std::shared_ptr<arrow::RecordBatch>> JoinRecords(
    const std::vector<std::shared_ptr<arrow::RecordBatch>>& parts);
// Memory that the rows take.
uint64_t SizeOf(const arrow::RecordBatch& records);

}  // namespace sluice::pipeline

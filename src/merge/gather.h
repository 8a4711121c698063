#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace sluice::merge {

// A row of one of several batches.
struct RowRef {
  uint32_t source = 0;
  uint32_t row = 0;
};

// The rows `refs` of `sources`, in that order, as one batch of `schema`; the sources have its column types.
// Neighbouring rows are copied together, and one run alone is a slice.
Result<std::shared_ptr<arrow::RecordBatch>> Gather(
    const std::shared_ptr<arrow::Schema>& schema,
    const std::vector<std::shared_ptr<arrow::RecordBatch>>& sources, const std::vector<RowRef>& refs);

}  // namespace sluice::merge

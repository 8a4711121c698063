#pragma once

#include <memory>

#include "base/result.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace sluice::columnar {

// The rows of `batch` with exactly the columns of `schema`, found by name: columns that the schema lacks are
// left out, missing ones are null, others are cast where that loses nothing (String to LargeString, say). No
// cost where nothing differs. Errors: kConflict naming a column that does not cast.
Result<std::shared_ptr<arrow::RecordBatch>> ConformBatch(const std::shared_ptr<arrow::RecordBatch>& batch,
                                                         const std::shared_ptr<arrow::Schema>& schema);

// True when both have the same names and types in the same order, whatever their nullability and metadata.
bool SameColumns(const arrow::Schema& a, const arrow::Schema& b);

}  // namespace sluice::columnar

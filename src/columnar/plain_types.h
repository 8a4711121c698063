#pragma once

#include <memory>
#include <vector>

#include "base/result.h"

namespace arrow {
class DataType;
class Field;
class RecordBatch;
class Schema;
}  // namespace arrow

// The plain form of Arrow types: one layout a type, so that kernels need to know only that one.
namespace sluice::columnar {

// Large, View and Dictionary variants become the plain type, extension types their storage, at every depth.
std::shared_ptr<arrow::DataType> PlainType(const std::shared_ptr<arrow::DataType>& type);

// The schema with plain types and without metadata, neither of its own nor of its fields.
std::shared_ptr<arrow::Schema> PlainSchema(const arrow::Schema& schema);

// What a slice holds for `schema`: plain, and the units that Parquet lacks (seconds) replaced by
// milliseconds. This is the schema that a reader of the slice reports and that its logical hash is over.
std::shared_ptr<arrow::Schema> StoredSchema(const arrow::Schema& schema);

// `batch` with the types of `target`, whose columns stand in the same order. Costs nothing where they agree
// already. More than one batch when a column is too large for 32-bit offsets. Errors: kInvalidArgument when
// the number of columns differs; kUnsupported naming the column that has no such cast.
Result<std::vector<std::shared_ptr<arrow::RecordBatch>>> ConvertBatch(
    const std::shared_ptr<arrow::RecordBatch>& batch, const std::shared_ptr<arrow::Schema>& target);

// Makes Arrow's compute functions available; once a process, cheap afterwards.
void EnsureArrowCompute();

}  // namespace sluice::columnar

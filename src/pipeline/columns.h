#pragma once

#include <memory>

#include "pipeline/record.h"

namespace arrow {
class Array;
class RecordBatch;
class StringArray;
}  // namespace arrow

// What processors do to batches.
namespace sluice::pipeline {

// A column of texts (or JSON, then with nulls).
const arrow::StringArray& Texts(const arrow::RecordBatch& records, Column column);
// The same records with another column.
std::shared_ptr<arrow::RecordBatch> WithColumn(const arrow::RecordBatch& records, Column column,
                                               std::shared_ptr<arrow::Array> values);

}  // namespace sluice::pipeline

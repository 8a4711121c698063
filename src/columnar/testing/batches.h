#pragma once

#include <memory>
#include <string>

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

// Record batches for tests, written down as JSON.
namespace sluice::columnar::testing {

// Rows as a JSON array of arrays or objects, in the representation of Arrow's JSON: times as integers,
// decimals and binaries as strings. A wrong text ends the test program: it is the test that is broken.
std::shared_ptr<arrow::RecordBatch> BatchFromJson(const std::shared_ptr<arrow::Schema>& schema,
                                                  const std::string& rows);

// Every type that a slice can hold (odf-metadata.md 7.2), each as a nullable column, and three rows: values,
// other values, nulls.
std::shared_ptr<arrow::RecordBatch> AllTypesBatch();

// Rows again as text, for comparisons that a person can read.
std::string ToText(const arrow::RecordBatch& batch);

}  // namespace sluice::columnar::testing

#include "pipeline/columns.h"

#include <arrow/api.h>

namespace sluice::pipeline {
const arrow::StringArray& Texts(const arrow::RecordBatch& records, Column column) {
  return static_cast<const arrow::StringArray&>(*records.column(static_cast<int>(column)));
}

std::shared_ptr<arrow::RecordBatch> WithColumn(const arrow::RecordBatch& records, Column column,
                                               std::shared_ptr<arrow::Array> values) {
  std::vector<std::shared_ptr<arrow::Array>> columns = records.columns();
  columns[static_cast<size_t>(column)] = std::move(values);
  return arrow::RecordBatch::Make(records.schema(), records.num_rows(), std::move(columns));
}

}  // namespace sluice::pipeline

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "sql/handles.h"

namespace arrow {
class DataType;
class RecordBatch;
class Schema;
}  // namespace arrow

namespace sluice::sql {

// How chunks of a statement become record batches: names decoded; wide integers (sums) as Int64, checked;
// timestamps in UTC; JSON and NULL columns as text; enumerations decoded.
class ResultShape {
 public:
  // Errors: kUnsupported for a column whose type has no counterpart, naming it.
  static Result<ResultShape> Make(duckdb_connection connection, duckdb_prepared_statement statement);

  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }
  // Errors: `overflow_code` for an integer outside of 64 bits.
  Result<std::shared_ptr<arrow::RecordBatch>> Convert(duckdb_arrow_options options, duckdb_data_chunk chunk,
                                                      ErrorCode overflow_code) const;

 private:
  enum class Fix { kRetype, kNarrow, kDecode, kText };
  struct Column {
    std::string name;
    Fix fix;
    std::shared_ptr<arrow::DataType> type;
  };

  std::vector<Column> columns_;
  std::shared_ptr<arrow::Schema> raw_;
  std::shared_ptr<arrow::Schema> schema_;
};

}  // namespace sluice::sql

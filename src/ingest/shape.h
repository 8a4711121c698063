#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "odf/events.h"

namespace arrow {
class Array;
class DataType;
class RecordBatch;
class Schema;
}  // namespace arrow

namespace sluice::ingest {

struct ShapeSpec {
  odf::Vocabulary vocabulary;
  odf::MergeKind merge = odf::MergeKind::kAppend;
  // No preprocess query and no ODF schema: system columns are renamed, the event time is coerced
  // (odf-ingest.md 2.2).
  bool default_preprocess = false;
  // The dataset's schema with its system columns, when it has one.
  std::optional<odf::DataSchema> dataset_schema;
};

// Turns a frame into what a merge takes (odf-ingest.md 4.1 steps 1, 2, 4 and 8; push-protocol.md 2): no
// forbidden system column, every top-level timestamp in ms UTC, an event-time column (NULL when the data has
// none), and, once the dataset has a schema, its columns by name in its order. Decided once per frame schema;
// Apply is columnar. Thread-compatible.
class Shaper {
 public:
  // Errors: kInvalidArgument for system columns in the way and a wrong event-time type; kConflict for columns
  // that do not fit the dataset's schema, showing the differing ones.
  static Result<Shaper> Make(const ShapeSpec& spec, const std::shared_ptr<arrow::Schema>& frame);

  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }
  // Errors: kInvalidRecords for a null where the dataset wants a value, and for an event time that cannot be
  // read; rows are counted from `first_row` (1-based).
  Result<std::shared_ptr<arrow::RecordBatch>> Apply(const arrow::RecordBatch& batch, int64_t first_row) const;

 private:
  enum class Convert { kKeep, kNull, kMillisUtc, kPlain, kEpochSeconds, kText };
  struct Column {
    int from = -1;  // index in the frame
    Convert convert = Convert::kKeep;
  };
  Status Plan(const ShapeSpec& spec, const arrow::Schema& frame);
  Status AlignTo(const odf::DataSchema& dataset, const ShapeSpec& spec);

  std::vector<Column> columns_;
  std::shared_ptr<arrow::Schema> schema_;
};

// Values of a timestamp column (any unit, any zone, none = UTC) as ms UTC, sub-ms digits cut.
Result<std::shared_ptr<arrow::Array>> ToMillisUtc(const std::shared_ptr<arrow::Array>& array);

}  // namespace sluice::ingest

#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "odf/chain_state.h"
#include "odf/events.h"

namespace arrow {
class Array;
class DataType;
class RecordBatch;
class Schema;
}  // namespace arrow

namespace sluice::columnar {
class TimePattern;
}  // namespace sluice::columnar

namespace sluice::ingest {

struct ShapeSpec {
  odf::Vocabulary vocabulary;
  odf::MergeKind merge = odf::MergeKind::kAppend;
  // No preprocess query and no ODF schema: system columns are renamed, the event time is coerced
  // (odf-ingest.md 2.2).
  bool default_preprocess = false;
  // How an event time in text is written then (`timestampFormat`); null: RFC 3339.
  std::shared_ptr<const columnar::TimePattern> time_pattern;
  // Nobody declared the frame's types: they are the file's, or what a query makes.
  bool is_inferred = false;
  // Of those, structs that are null in some of the rows; they count while there is neither schema.
  std::set<std::string> null_structs;
  // The dataset's schema with its system columns, when it has one.
  std::optional<odf::DataSchema> dataset_schema;
  // While it has none: what its sources agree on, with system columns, whose types say nothing.
  std::optional<odf::DataSchema> agreed_schema;
};

// A value that keeps its row out.
struct BadValue {
  int64_t row = 0;  // in the batch, from 0
  std::string column;
  std::string value;
  std::string reason;
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
  // All rows, and in `bad`, sorted by row, a null where the dataset wants a value and an event time that
  // cannot be read: those rows are not to be used.
  Result<std::shared_ptr<arrow::RecordBatch>> Apply(const arrow::RecordBatch& batch,
                                                    std::vector<BadValue>* bad) const;

 private:
  enum class Convert { kKeep, kNull, kMillisUtc, kPlain, kEpochSeconds, kText, kJson };
  struct Column {
    int from = -1;  // index in the frame
    Convert convert = Convert::kKeep;
  };
  Status Plan(const ShapeSpec& spec, const arrow::Schema& frame);
  Status AlignTo(const odf::DataSchema& dataset, const ShapeSpec& spec);

  std::vector<Column> columns_;
  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<const columnar::TimePattern> time_pattern_;
};

// For rows that were shaped already, when the dataset has got its schema since: `columns` may have an op.
// Errors: as Make.
Result<Shaper> MakeRealigner(const odf::ChainState& state, const std::shared_ptr<arrow::Schema>& columns);
// Errors: kInvalidRecords for a null where the dataset wants a value.
Result<std::shared_ptr<arrow::RecordBatch>> Realign(const Shaper& realigner, const arrow::RecordBatch& rows);

// Values of a timestamp column (any unit, any zone, none = UTC) as ms UTC, sub-ms digits cut.
Result<std::shared_ptr<arrow::Array>> ToMillisUtc(const std::shared_ptr<arrow::Array>& array);

}  // namespace sluice::ingest

#pragma once

#include <arrow/api.h>

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "columnar/keys.h"
#include "merge/merger.h"
#include "merge/ops.h"

// What the strategies share.
namespace sluice::merge {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;
using SchemaPtr = std::shared_ptr<arrow::Schema>;

inline constexpr size_t kMaxReportedDuplicates = 5;

Result<std::unique_ptr<Merger>> MakeAppend(const MergeSpec& spec);
Result<std::unique_ptr<Merger>> MakeLedger(const MergeSpec& spec, KeyHistory* history);
Result<std::unique_ptr<Merger>> MakeChangelog(const MergeSpec& spec);
// Snapshot and UpsertStream.
Result<std::unique_ptr<Merger>> MakeState(const MergeSpec& spec, KeyHistory* history);

// Keys of batches, none of them NULL.
class KeyReader {
 public:
  static Result<KeyReader> Make(const arrow::Schema& schema, std::vector<std::string> columns);
  // Appends the rows' keys. `row_base`: rows of the input batch before these. Errors: kInvalidRecords.
  Status Read(const arrow::RecordBatch& rows, int64_t row_base, columnar::PackedBytes* keys) const;
  // The key of a row as people read it: `2020, Kyiv`.
  std::string Describe(const arrow::RecordBatch& rows, int64_t row) const;

 private:
  KeyReader(columnar::KeyEncoder encoder, std::vector<std::string> columns)
      : encoder_(std::move(encoder)), columns_(std::move(columns)) {}

  columnar::KeyEncoder encoder_;
  std::vector<std::string> columns_;
};

// An input has not the column that something needs it for.
Error NoColumn(std::string_view role, const std::string& column, const arrow::Schema& input);
// Operation codes of the rows, each 0 to 3. `row_base`: rows of the input batch before these. Errors:
// kInvalidRecords naming row and column.
Result<std::vector<uint8_t>> RequireOps(const arrow::RecordBatch& rows, const std::string& column,
                                        int64_t row_base);

// The input's columns without `op`.
SchemaPtr WithoutColumn(const arrow::Schema& schema, const std::string& column);
// `op` (Int32) before `columns`.
SchemaPtr WithOp(const std::string& op, const arrow::Schema& columns);
// Rows of one operation, in the schema that WithOp makes.
Result<BatchPtr> AddOp(const SchemaPtr& output, const BatchPtr& rows, odf::Op op);
Result<BatchPtr> AddOps(const SchemaPtr& output, const BatchPtr& rows, const std::vector<int32_t>& ops);

Status CheckColumns(const arrow::Schema& expected, const arrow::RecordBatch& rows);

}  // namespace sluice::merge

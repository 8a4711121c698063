#include "merge/ops.h"

#include <arrow/api.h>
#include <arrow/compute/api.h>

#include "columnar/arrow_status.h"
#include "merge/merge_internal.h"

namespace sluice::merge {
namespace {

constexpr int64_t kLastOp = 3;

}  // namespace

Status CheckOpColumn(const arrow::Schema& schema, const std::string& column) {
  const auto field = schema.GetFieldByName(column);
  if (field == nullptr) return NoColumn("operation", column, schema);
  if (!arrow::is_integer(field->type()->id())) {
    return InvalidArgument("operation column '{}' has type {}, not an integer", column,
                           field->type()->ToString());
  }
  return OkStatus();
}

Result<std::vector<uint8_t>> ReadOps(const arrow::RecordBatch& rows, const std::string& column,
                                     std::vector<BadOp>* bad) {
  const auto values = rows.GetColumnByName(column);
  arrow::compute::CastOptions options = arrow::compute::CastOptions::Unsafe(arrow::int64());
  ASSIGN_OR_RETURN_ARROW(const auto cast, arrow::compute::Cast(*values, arrow::int64(), options));
  const auto& ops = static_cast<const arrow::Int64Array&>(*cast);
  std::vector<uint8_t> result(static_cast<size_t>(ops.length()), 0);
  for (int64_t row = 0; row < ops.length(); ++row) {
    if (ops.IsNull(row)) {
      bad->push_back({row, "", "null is no operation"});
      continue;
    }
    const int64_t op = ops.Value(row);
    if (op < 0 || op > kLastOp) {
      bad->push_back(
          {row, std::to_string(op),
           fmt::format("'{}' is no operation; these are 0 (append), 1 (retract), 2 (correct from), "
                       "3 (correct to)",
                       op)});
    } else {
      result[static_cast<size_t>(row)] = static_cast<uint8_t>(op);
    }
  }
  return result;
}

}  // namespace sluice::merge

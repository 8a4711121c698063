#include "merge/merger.h"

#include <fmt/ranges.h>

#include "columnar/arrow_status.h"
#include "columnar/conform.h"
#include "merge/merge_internal.h"

namespace sluice::merge {
namespace {

Status CheckSpec(const MergeSpec& spec) {
  const odf::MergeStrategy& strategy = spec.strategy;
  if (spec.input == nullptr) return Internal("a merge without an input schema");
  RETURN_IF_ERROR(CheckColumns(strategy, *spec.input));
  if (spec.input->GetFieldIndex(spec.vocabulary.event_time) < 0) {
    return NoColumn("event time", spec.vocabulary.event_time, *spec.input);
  }
  const bool takes_op =
      strategy.kind == odf::MergeKind::kChangelogStream || strategy.kind == odf::MergeKind::kUpsertStream;
  if (!takes_op && spec.input->GetFieldIndex(spec.vocabulary.op) >= 0) {
    return InvalidArgument("column '{}' is the operation column, which this merge strategy gives itself",
                           spec.vocabulary.op);
  }
  return OkStatus();
}

}  // namespace

Error NoColumn(std::string_view role, const std::string& column, const arrow::Schema& input) {
  return InvalidArgument("no column '{}' for the {}; the input's columns are '{}'", column, role,
                         fmt::join(input.field_names(), "', '"));
}

Status CheckColumns(const odf::MergeStrategy& strategy, const arrow::Schema& input) {
  if (strategy.kind != odf::MergeKind::kAppend && strategy.primary_key.empty()) {
    return InvalidArgument("the merge strategy needs a primary key of at least one column");
  }
  for (const std::string& column : strategy.primary_key) {
    if (input.GetFieldIndex(column) < 0) return NoColumn("primary key", column, input);
  }
  if (!strategy.compare_columns) return {};
  if (strategy.compare_columns->empty()) return InvalidArgument("'compareColumns' names no column");
  for (const std::string& column : *strategy.compare_columns) {
    if (input.GetFieldIndex(column) < 0) return NoColumn("comparison", column, input);
  }
  return {};
}

HistoryNeed NeedOf(odf::MergeKind kind) {
  switch (kind) {
    case odf::MergeKind::kLedger:
      return HistoryNeed::kKeys;
    case odf::MergeKind::kSnapshot:
    case odf::MergeKind::kUpsertStream:
      return HistoryNeed::kRows;
    case odf::MergeKind::kAppend:
    case odf::MergeKind::kChangelogStream:
      break;
  }
  return HistoryNeed::kNone;
}

bool TakesSingles(odf::MergeKind kind) {
  return kind == odf::MergeKind::kAppend || kind == odf::MergeKind::kLedger;
}

std::vector<std::string> KeyColumnsOf(const odf::MergeStrategy& strategy) { return strategy.primary_key; }

Result<std::unique_ptr<Merger>> Merger::Make(const MergeSpec& spec, KeyHistory* history) {
  RETURN_IF_ERROR(CheckSpec(spec));
  if (history == nullptr && NeedOf(spec.strategy.kind) != HistoryNeed::kNone) {
    return Internal("a merge strategy that looks back was given no history");
  }
  switch (spec.strategy.kind) {
    case odf::MergeKind::kAppend:
      return MakeAppend(spec);
    case odf::MergeKind::kLedger:
      return MakeLedger(spec, history);
    case odf::MergeKind::kChangelogStream:
      return MakeChangelog(spec);
    case odf::MergeKind::kSnapshot:
    case odf::MergeKind::kUpsertStream:
      return MakeState(spec, history);
  }
  return Internal("unknown merge strategy");
}

Result<BatchPtr> Merger::PushSingles(const BatchPtr&, std::vector<bool>*) {
  return Internal("a merge strategy that looks at whole batches was given many at once");
}

Result<KeyReader> KeyReader::Make(const arrow::Schema& schema, std::vector<std::string> columns) {
  ASSIGN_OR_RETURN(columnar::KeyEncoder encoder, columnar::KeyEncoder::Make(schema, columns));
  return KeyReader(std::move(encoder), std::move(columns));
}

Status KeyReader::Read(const arrow::RecordBatch& rows, int64_t row_base, columnar::PackedBytes* keys) const {
  bool nulls = false;
  for (const std::string& column : columns_) nulls |= rows.GetColumnByName(column)->null_count() != 0;
  if (nulls) {
    for (int64_t row = 0; row < rows.num_rows(); ++row) {
      for (const std::string& column : columns_) {
        if (!rows.GetColumnByName(column)->IsNull(row)) continue;
        return MakeError(ErrorCode::kInvalidRecords, "row {}: column '{}' of the primary key is null",
                         row_base + row + 1, column);
      }
    }
  }
  return encoder_.Encode(rows, keys, nullptr);
}

std::string KeyReader::Describe(const arrow::RecordBatch& rows, int64_t row) const {
  std::vector<std::string> values;
  for (const std::string& column : columns_) {
    auto scalar = rows.GetColumnByName(column)->GetScalar(row);
    values.push_back(scalar.ok() ? (*scalar)->ToString() : "?");
  }
  return fmt::format("{}", fmt::join(values, ", "));
}

Result<std::vector<uint8_t>> RequireOps(const arrow::RecordBatch& rows, const std::string& column,
                                        int64_t row_base) {
  std::vector<BadOp> bad;
  ASSIGN_OR_RETURN(auto ops, ReadOps(rows, column, &bad));
  if (bad.empty()) return ops;
  const BadOp& first = bad.front();
  return MakeError(ErrorCode::kInvalidRecords, "row {}: operation column '{}': {}", row_base + first.row + 1,
                   column, first.reason);
}

SchemaPtr WithoutColumn(const arrow::Schema& schema, const std::string& column) {
  arrow::FieldVector fields;
  for (const auto& field : schema.fields()) {
    if (field->name() != column) fields.push_back(field);
  }
  return arrow::schema(std::move(fields), schema.metadata());
}

SchemaPtr WithOp(const std::string& op, const arrow::Schema& columns) {
  arrow::FieldVector fields{arrow::field(op, arrow::int32(), false)};
  fields.insert(fields.end(), columns.fields().begin(), columns.fields().end());
  return arrow::schema(std::move(fields), columns.metadata());
}

namespace {

BatchPtr Prepend(const SchemaPtr& output, const BatchPtr& rows, std::shared_ptr<arrow::Array> ops) {
  std::vector<std::shared_ptr<arrow::Array>> columns{std::move(ops)};
  columns.insert(columns.end(), rows->columns().begin(), rows->columns().end());
  return arrow::RecordBatch::Make(output, rows->num_rows(), std::move(columns));
}

}  // namespace

Result<BatchPtr> AddOp(const SchemaPtr& output, const BatchPtr& rows, odf::Op op) {
  const arrow::Int32Scalar value(static_cast<int32_t>(op));
  ASSIGN_OR_RETURN_ARROW(auto ops, arrow::MakeArrayFromScalar(value, rows->num_rows()));
  return Prepend(output, rows, std::move(ops));
}

Result<BatchPtr> AddOps(const SchemaPtr& output, const BatchPtr& rows, const std::vector<int32_t>& ops) {
  arrow::Int32Builder builder;
  RETURN_IF_ARROW_ERROR(builder.AppendValues(ops));
  ASSIGN_OR_RETURN_ARROW(auto column, builder.Finish());
  return Prepend(output, rows, std::move(column));
}

Status CheckColumns(const arrow::Schema& expected, const arrow::RecordBatch& rows) {
  if (columnar::SameColumns(expected, *rows.schema())) return OkStatus();
  return Internal("rows with columns '{}' came to a merge of '{}'",
                  fmt::join(rows.schema()->field_names(), "', '"), fmt::join(expected.field_names(), "', '"));
}

std::string DescribeDuplicates(const MergeCounts& counts) {
  if (counts.duplicates == 0) return "";
  return fmt::format("{} record(s) repeat a key within the input: {}", counts.duplicates,
                     fmt::join(counts.first_duplicates, ", "));
}

}  // namespace sluice::merge

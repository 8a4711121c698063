#include "connectors/sql/connector.h"
#include <nlohmann/json.hpp>

#include <arrow/api.h>
#include <arrow/compute/api.h>

#include <unordered_map>

#include "base/names.h"
#include "columnar/arrow_status.h"
#include "pipeline/columns.h"
#include "pipeline/json_scan.h"
#include "pipeline/registry.h"
#include "pipeline/rows.h"
#include "pipeline/settings.h"
#include "sql/batch_query.h"

namespace sluice::connectors {
namespace {

using pipeline::Batch;
using pipeline::Column;

constexpr char kTable[] = "input";

bool IsTime(Column column) { return column == Column::kCreatedAt || column == Column::kUpdatedAt; }

// Which column of the query's result is which of the record's; -1 = it has none.
using Mapping = std::vector<int>;

// Errors: kInvalidArgument for a column that is none of the record's, or of a type that none can have.
Result<Mapping> MapColumns(const arrow::Schema& result) {
  const arrow::Schema& record = *pipeline::RecordSchema();
  Mapping mapping(pipeline::kColumns, -1);
  for (int i = 0; i < result.num_fields(); ++i) {
    const std::string& name = result.field(i)->name();
    const int column = record.GetFieldIndex(name);
    if (column < 0) {
      const std::vector<std::string> near = NearNames(name, record.field_names(), 1);
      return InvalidArgument(
          "the result's column '{}' is no field of a record{}; put it into metadata or extra, such as "
          "json_object('{}', {}) as metadata",
          name, near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near[0]), name, name);
    }
    if (mapping[static_cast<size_t>(column)] >= 0)
      return InvalidArgument("the result has two columns '{}'", name);
    const arrow::DataType& type = *result.field(i)->type();
    const bool is_time_like = type.id() == arrow::Type::TIMESTAMP || arrow::is_date(type.id());
    if (IsTime(static_cast<Column>(column)) ? !is_time_like && type.id() != arrow::Type::NA
                                            : arrow::is_nested(type.id()) || arrow::is_binary(type.id()))
      return InvalidArgument("the result's column '{}' is {}, which that field cannot hold", name,
                             type.ToString());
    mapping[static_cast<size_t>(column)] = i;
  }
  return mapping;
}

// A name in this object that is none for an unknown field; empty when there is none.
std::string FieldOfModelIn(std::string_view object) {
  const auto json = nlohmann::json::parse(object, nullptr, /*allow_exceptions=*/false);
  for (const auto& [name, value] : json.items()) {
    if (pipeline::RecordSchema()->GetFieldIndex(name) >= 0 && name != pipeline::ColumnName(Column::kExtra))
      return name;
  }
  return {};
}

constexpr int64_t kFirstMicros = -62'167'219'200'000'000;  // the years 0 to 9999 are those of RFC 3339
constexpr int64_t kEndMicros = 253'402'300'800'000'000;
constexpr int64_t kNotSetMicros = -62'135'596'800'000'000;  // 0001-01-01T00:00:00Z

// Times as records have them. Errors: kInvalidRecords for one that no text of RFC 3339 says.
Result<std::shared_ptr<arrow::Array>> CheckTimes(Column column, std::shared_ptr<arrow::Array> values) {
  const auto& times = static_cast<const arrow::TimestampArray&>(*values);
  bool has_zero = false;
  for (int64_t row = 0; row < times.length(); ++row) {
    if (times.IsNull(row)) continue;
    const int64_t micros = times.Value(row);
    has_zero = has_zero || micros == kNotSetMicros;
    if (micros < kFirstMicros || micros >= kEndMicros)
      return MakeError(ErrorCode::kInvalidRecords,
                       "the query gives a time for {} that is not in the years 0 to 9999",
                       pipeline::ColumnName(column));
  }
  if (!has_zero) return values;
  arrow::TimestampBuilder builder(times.type(), arrow::default_memory_pool());
  for (int64_t row = 0; row < times.length(); ++row) {
    const bool is_set = times.IsValid(row) && times.Value(row) != kNotSetMicros;
    RETURN_IF_ARROW_ERROR(is_set ? builder.Append(times.Value(row)) : builder.AppendNull());
  }
  return columnar::ToResult(builder.Finish());
}

// Null texts as empty ones.
Result<std::shared_ptr<arrow::Array>> WithoutNulls(const std::shared_ptr<arrow::Array>& texts) {
  if (texts->null_count() == 0) return texts;
  ASSIGN_OR_RETURN_ARROW(const arrow::Datum filled,
                         arrow::compute::CallFunction(
                             "coalesce", {texts, arrow::Datum(std::make_shared<arrow::StringScalar>(""))}));
  return filled.make_array();
}

Result<std::shared_ptr<arrow::Array>> EmptyColumn(Column column, int64_t rows) {
  const auto& type = pipeline::RecordSchema()->field(static_cast<int>(column))->type();
  const bool has_nulls = IsTime(column) || column == Column::kMetadata || column == Column::kExtra;
  if (has_nulls) return columnar::ToResult(arrow::MakeArrayOfNull(type, rows));
  return columnar::ToResult(arrow::MakeArrayFromScalar(arrow::StringScalar(""), rows));
}

class Sql final : public pipeline::Processor {
 public:
  Sql(std::unique_ptr<sluice::sql::BatchQuery> query, Mapping mapping)
      : query_(std::move(query)), mapping_(std::move(mapping)) {}

  Result<Batch> Process(Batch batch, std::vector<Reject>* rejected, std::stop_token stop) override {
    if (batch.rows() == 0) return batch;
    auto result = query_->Run({batch.records}, stop);
    if (!result.ok() && result.error().code() == ErrorCode::kInvalidRecords && batch.rows() > 1) {
      // Without the rows that it fails on.
      std::vector<int32_t> good;
      RETURN_IF_ERROR(FindGood(batch, 0, batch.rows(), stop, &good, rejected));
      ASSIGN_OR_RETURN(batch, pipeline::TakeRows(batch, good));
      if (batch.rows() == 0) return batch;
      result = query_->Run({batch.records}, stop);
    } else if (!result.ok() && result.error().code() == ErrorCode::kInvalidRecords) {
      rejected->push_back({0, result.error().ToString()});
      return pipeline::TakeRows(batch, std::vector<int32_t>());
    }
    if (!result.ok()) return std::move(result).error();
    return Assemble(batch, *result);
  }

 private:
  Status FindGood(const Batch& batch, int64_t begin, int64_t end, const std::stop_token& stop,
                  std::vector<int32_t>* good, std::vector<Reject>* rejected) {
    const auto result = query_->Run({batch.records->Slice(begin, end - begin)}, stop);
    if (result.ok()) {
      for (int64_t row = begin; row < end; ++row) good->push_back(static_cast<int32_t>(row));
      return {};
    }
    if (result.error().code() != ErrorCode::kInvalidRecords) return result.error();
    if (end - begin == 1) {
      rejected->push_back({begin, result.error().ToString()});
      return {};
    }
    const int64_t middle = begin + (end - begin) / 2;
    RETURN_IF_ERROR(FindGood(batch, begin, middle, stop, good, rejected));
    return FindGood(batch, middle, end, stop, good, rejected);
  }

  Result<Batch> Assemble(const Batch& batch, const sluice::sql::RecordBatches& parts) const {
    Batch out;
    out.partition = batch.partition;
    out.places = batch.places;
    ASSIGN_OR_RETURN_ARROW(const auto table, arrow::Table::FromRecordBatches(query_->schema(), parts));
    ASSIGN_OR_RETURN_ARROW(const auto joined, table->CombineChunksToBatch());
    std::vector<std::shared_ptr<arrow::Array>> columns;
    for (int i = 0; i < pipeline::kColumns; ++i) {
      ASSIGN_OR_RETURN(auto column, ColumnOf(*joined, static_cast<Column>(i)));
      columns.push_back(std::move(column));
    }
    auto records = arrow::RecordBatch::Make(pipeline::RecordSchema(), joined->num_rows(), std::move(columns));
    std::vector<int32_t> rows = FindRows(batch, *records);
    RETURN_IF_ERROR(CheckJson(batch, *records, rows));
    for (int32_t& row : rows) {
      if (row >= 0 && !batch.origins.empty()) row = batch.origins[static_cast<size_t>(row)];
    }
    out.origins = std::move(rows);
    ASSIGN_OR_RETURN(out.records, pipeline::FillUuids(records));
    return out;
  }

  Result<std::shared_ptr<arrow::Array>> ColumnOf(const arrow::RecordBatch& result, Column column) const {
    const int from = mapping_[static_cast<size_t>(column)];
    if (from < 0 || result.column(from)->type_id() == arrow::Type::NA)
      return EmptyColumn(column, result.num_rows());
    const auto& type = pipeline::RecordSchema()->field(static_cast<int>(column))->type();
    std::shared_ptr<arrow::Array> values = result.column(from);
    if (!values->type()->Equals(type)) {
      arrow::compute::CastOptions options = arrow::compute::CastOptions::Safe(type);
      options.allow_time_truncate = true;
      const auto cast = arrow::compute::Cast(values, options);
      if (!cast.ok())
        return MakeError(ErrorCode::kInvalidRecords, "the query's {}: {}", pipeline::ColumnName(column),
                         cast.status().message());
      values = cast->make_array();
    }
    if (IsTime(column)) return CheckTimes(column, std::move(values));
    if (column == Column::kMetadata || column == Column::kExtra) return values;
    return WithoutNulls(values);
  }

  // Which row of `batch` each record stems from, by its uuid; -1 = from all.
  static std::vector<int32_t> FindRows(const Batch& batch, const arrow::RecordBatch& records) {
    std::unordered_map<std::string_view, int32_t> by_uuid;
    const arrow::StringArray& given = pipeline::Texts(*batch.records, Column::kUuid);
    for (int64_t row = 0; row < given.length(); ++row)
      by_uuid.emplace(given.GetView(row), static_cast<int32_t>(row));
    std::vector<int32_t> rows;
    const arrow::StringArray& uuids = pipeline::Texts(records, Column::kUuid);
    for (int64_t row = 0; row < uuids.length(); ++row) {
      const auto found = by_uuid.find(uuids.GetView(row));
      rows.push_back(found == by_uuid.end() ? -1 : found->second);
    }
    return rows;
  }

  // What the query wrote into the columns of JSON must be some; what it left alone is.
  static Status CheckJson(const Batch& batch, const arrow::RecordBatch& records,
                          const std::vector<int32_t>& rows) {
    for (const Column column : {Column::kMetadata, Column::kExtra}) {
      const arrow::StringArray& given = pipeline::Texts(*batch.records, column);
      const arrow::StringArray& made = pipeline::Texts(records, column);
      for (int64_t row = 0; row < made.length(); ++row) {
        if (made.IsNull(row)) continue;
        const std::string_view text = made.GetView(row);
        const int32_t origin = rows[static_cast<size_t>(row)];
        if (origin >= 0 && given.IsValid(origin) && given.GetView(origin) == text) continue;
        std::string why;
        const bool is_object = column == Column::kMetadata || text.starts_with('{');
        if (pipeline::IsJson(text, pipeline::ParseLimits().max_depth, &why) && is_object) {
          const std::string taken = column == Column::kExtra ? FieldOfModelIn(text) : "";
          if (taken.empty()) continue;
          return MakeError(ErrorCode::kInvalidRecords,
                           "the query puts '{}' into extra, which is a field of the record itself", taken);
        }
        return MakeError(ErrorCode::kInvalidRecords, "the query gives '{}' for {}, which is no JSON{}",
                         text.substr(0, 100), pipeline::ColumnName(column), is_object ? "" : " object");
      }
    }
    return {};
  }

  const std::unique_ptr<sluice::sql::BatchQuery> query_;
  const Mapping mapping_;
};

Result<std::unique_ptr<pipeline::Processor>> Make(const pipeline::Settings& settings) {
  RETURN_IF_ARROW_ERROR(arrow::compute::Initialize());
  sluice::sql::Limits limits;
  limits.threads = 1;
  limits.memory_bytes = static_cast<int64_t>(settings.bytes("memory"));
  limits.time_ms = settings.duration("timeout").count();
  if (limits.memory_bytes < (int64_t{16} << 20)) return settings.Complain("memory", "16MiB at least");
  if (limits.time_ms <= 0) return settings.Complain("timeout", "a time limit is more than 0");
  auto query =
      sluice::sql::BatchQuery::Prepare(settings.text("query"), kTable, pipeline::RecordSchema(), limits);
  if (!query.ok()) return settings.Complain("query", query.error().ToString());
  auto mapping = MapColumns(*(*query)->schema());
  if (!mapping.ok()) return settings.Complain("query", mapping.error().message());
  return std::unique_ptr<pipeline::Processor>(
      std::make_unique<Sql>(std::move(query).value(), std::move(mapping).value()));
}

}  // namespace

void RegisterSql(pipeline::Registry& registry) {
  pipeline::Declaration d;
  d.kind = pipeline::ConnectorKind::kProcessor;
  d.type = "sql";
  d.summary = "Reshapes each batch by a SELECT over it, the table `input`";
  d.tier = pipeline::Tier::kStable;
  d.guarantee_text =
      "A record of the result whose uuid is one of the batch's stems from that record; others, of groups, stem "
      "from all of it, get a uuid of their own, and are made anew when the batch is delivered again. A batch is "
      "what happens to travel together.";
  d.options = {
      {.name = "query",
       .description =
           "One SELECT in DuckDB's dialect; the result's columns are fields of the record, missing ones "
           "are empty, metadata and extra are JSON. No files, no network",
       .is_required = true},
      {.name = "timeout",
       .type = pipeline::OptionType::kDuration,
       .description = "Time limit for a batch",
       .default_text = "30s"},
      {.name = "memory",
       .type = pipeline::OptionType::kBytes,
       .description = "Memory limit of the query",
       .default_text = "256MiB"},
  };
  d.example =
      "type: sql\nquery: select * replace (lower(source_type) as source_type) from input where data <> ''\n";
  registry.Add(std::move(d),
               [](const pipeline::Settings& settings, pipeline::Environment&) { return Make(settings); });
}

}  // namespace sluice::connectors

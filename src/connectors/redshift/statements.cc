#include <arrow/api.h>

#include <array>

#include "base/instant.h"
#include "connectors/redshift/redshift_internal.h"

namespace sluice::connectors::redshift {
namespace {

using pipeline::Column;
using pipeline::ColumnName;
using postgres::Quoted;
using postgres::Records;

constexpr std::string_view kStaging = "sluice_staging";
constexpr std::string_view kByKey =
    "t.tenant_id = s.tenant_id AND t.source_type = s.source_type AND t.source_id = s.source_id AND t.data_id = "
    "s.data_id AND s.data_id <> '' AND t.data_id <> ''";

bool IsJson(Column column) { return column == Column::kMetadata || column == Column::kExtra; }
bool IsTime(Column column) { return column == Column::kCreatedAt || column == Column::kUpdatedAt; }

std::vector<Column> ColumnsOf(bool has_extra) {
  std::vector<Column> columns;
  for (int i = 0; i < pipeline::kColumns; ++i) {
    const auto column = static_cast<Column>(i);
    if (column != Column::kExtra || has_extra) columns.push_back(column);
  }
  return columns;
}

std::string List(bool has_extra) {
  std::string list;
  for (const Column column : ColumnsOf(has_extra)) {
    if (!list.empty()) list += ", ";
    list += Quoted(ColumnName(column));
  }
  return list;
}

// What a staged column is in the table.
std::string Staged(const Dialect& dialect, Column column) {
  const std::string name = "s." + Quoted(ColumnName(column));
  if (!IsJson(column)) return name;
  return dialect.is_redshift ? "json_parse(nullif(" + name + ", ''))" : "nullif(" + name + ", '')::jsonb";
}

std::string StagedList(const Dialect& dialect, bool has_extra) {
  std::string list;
  for (const Column column : ColumnsOf(has_extra)) {
    if (!list.empty()) list += ", ";
    list += Staged(dialect, column);
  }
  return list;
}

std::string FullName(const std::string& schema, const std::string& table) {
  return schema.empty() ? Quoted(table) : Quoted(schema) + "." + Quoted(table);
}

// Good whatever standard_conforming_strings is.
void AppendLiteral(std::string_view text, std::string* out) {
  *out += "E'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') *out += c;
    *out += c;
  }
  *out += '\'';
}

void AppendCsvField(std::string_view text, std::string* out) {
  *out += '"';
  for (const char c : text) {
    if (c == '"') *out += c;
    *out += c;
  }
  *out += '"';
}

std::string TimeText(const Records& records, Column column, int64_t row) {
  const auto& array = static_cast<const arrow::TimestampArray&>(records.array(column));
  if (array.IsNull(row)) return {};
  const int64_t micros = array.Value(row);
  Instant instant;
  instant.seconds = micros / 1'000'000 - (micros % 1'000'000 < 0 ? 1 : 0);
  instant.nanoseconds = static_cast<uint32_t>((micros - instant.seconds * 1'000'000) * 1000);
  return FormatInstant(instant);
}

}  // namespace

std::string CreateTable(const Dialect& dialect, const std::string& name) {
  std::string sql = "CREATE TABLE IF NOT EXISTS " + name + " (";
  for (const Column column : ColumnsOf(true)) {
    if (column != Column::kUuid) sql += ", ";
    sql += Quoted(ColumnName(column)) + " ";
    if (IsTime(column)) {
      sql += "timestamptz";
    } else if (IsJson(column)) {
      sql += dialect.json_type();
    } else if (column == Column::kData) {
      sql += fmt::format("{} NOT NULL DEFAULT ''", dialect.text_type());
    } else {
      sql += "varchar(1024) NOT NULL DEFAULT ''";
    }
  }
  sql += ")";
  // Records are found by these.
  if (dialect.is_redshift) sql += " DISTSTYLE KEY DISTKEY (\"uuid\") SORTKEY (\"created_at\")";
  return sql;
}

std::string CreateStaging(const Dialect& dialect) {
  std::string sql = fmt::format("CREATE TEMP TABLE {} (sluice_n int", kStaging);
  for (const Column column : ColumnsOf(true))
    sql += fmt::format(", {} {}", Quoted(ColumnName(column)),
                       IsTime(column) ? "timestamptz" : dialect.text_type());
  return sql + ")";
}

std::string SelectKnown(const std::string& table) {
  return fmt::format(
      "SELECT s.sluice_n FROM {0} s JOIN {1} t ON t.uuid = s.uuid UNION SELECT s.sluice_n FROM {0} s JOIN {1} t ON {2}",
      kStaging, table, kByKey);
}

std::string SelectClashing(const std::string& table) {
  return fmt::format(
      "SELECT DISTINCT s.sluice_n FROM {0} s JOIN {1} u ON u.uuid = s.uuid JOIN {1} t ON {2} WHERE t.uuid <> u.uuid",
      kStaging, table, kByKey);
}

std::string SelectLeaving(const std::string& table) {
  return fmt::format(
      "SELECT s.sluice_n, t.tenant_id, t.source_type, t.source_id, t.data_id FROM {0} s JOIN {1} t ON t.uuid = "
      "s.uuid WHERE t.data_id <> '' AND NOT (t.tenant_id = s.tenant_id AND t.source_type = s.source_type AND "
      "t.source_id = s.source_id AND t.data_id = s.data_id)",
      kStaging, table);
}

std::string SelectByUuid(const std::string& table, const Records& records, const std::vector<int64_t>& rows) {
  std::string sql =
      "SELECT uuid, tenant_id, source_type, source_id, data_id FROM " + table + " WHERE uuid IN (";
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i > 0) sql += ", ";
    AppendLiteral(records.text(Column::kUuid, rows[i]), &sql);
  }
  return sql + ")";
}

std::string InsertNew(const Dialect& dialect, const std::string& schema, const std::string& table,
                      bool has_extra) {
  const std::string name = FullName(schema, table);
  return fmt::format(
      "DELETE FROM {0} USING {1} t WHERE t.uuid = {0}.uuid; "
      "DELETE FROM {0} USING {1} t WHERE t.tenant_id = {0}.tenant_id AND t.source_type = {0}.source_type AND "
      "t.source_id = {0}.source_id AND t.data_id = {0}.data_id AND {0}.data_id <> ''; "
      "INSERT INTO {1} ({2}) SELECT {3} FROM {0} s",
      kStaging, name, List(has_extra), StagedList(dialect, has_extra));
}

// MERGE knows one condition: records that are known by their key take the stored uuid first. Those that are
// two stored records are left out, and of those that are the same stored one the last counts.
std::string MergeAll(const Dialect& dialect, const std::string& schema, const std::string& table,
                     bool has_extra) {
  const std::string name = FullName(schema, table);
  std::string sql = fmt::format("DELETE FROM {0} WHERE sluice_n IN ({1}); ", kStaging, SelectClashing(name));
  sql += fmt::format(
      "UPDATE {0} SET uuid = t.uuid FROM {1} t WHERE t.tenant_id = {0}.tenant_id AND t.source_type = "
      "{0}.source_type AND t.source_id = {0}.source_id AND t.data_id = {0}.data_id AND {0}.data_id <> ''; ",
      kStaging, name);
  sql += fmt::format("DELETE FROM {0} WHERE sluice_n NOT IN (SELECT max(sluice_n) FROM {0} GROUP BY uuid); ",
                     kStaging);
  std::string set;
  for (const Column column : ColumnsOf(has_extra)) {
    if (column == Column::kUuid || column == Column::kCreatedAt) continue;
    set += fmt::format("{}{} = {}", set.empty() ? "" : ", ", Quoted(ColumnName(column)),
                       Staged(dialect, column));
  }
  sql += fmt::format(
      "MERGE INTO {} USING {} s ON {}.uuid = s.uuid WHEN MATCHED THEN UPDATE SET {} WHEN NOT MATCHED THEN INSERT ({}) "
      "VALUES ({})",
      name, kStaging, Quoted(table), set, List(has_extra), StagedList(dialect, has_extra));
  return sql;
}

std::string CopyStatement(const StagingOptions& staging, const std::string& key) {
  return fmt::format("COPY {} (sluice_n, {}) FROM {} IAM_ROLE {} REGION {} FORMAT AS CSV TIMEFORMAT 'auto'",
                     kStaging, List(true), postgres::Literal("s3://" + staging.bucket + "/" + key),
                     postgres::Literal(staging.iam_role), postgres::Literal(staging.signing.region));
}

int64_t RowOf(Column column, int64_t row, int64_t first_row) {
  return column == Column::kUuid || column == Column::kCreatedAt ? first_row : row;
}

void AppendValues(const Records& records, int64_t row, int64_t first_row, int32_t number, std::string* out) {
  *out += '(' + std::to_string(number);
  for (const Column column : ColumnsOf(true)) {
    *out += ", ";
    const int64_t from = RowOf(column, row, first_row);
    if (!IsTime(column)) {
      AppendLiteral(records.text(column, from), out);
    } else if (const std::string time = TimeText(records, column, from); time.empty()) {
      *out += "NULL";
    } else {
      AppendLiteral(time, out);
    }
  }
  *out += ')';
}

// An empty field is an empty text, and for a time NULL.
void AppendCsv(const Records& records, int64_t row, int64_t first_row, int32_t number, std::string* out) {
  *out += std::to_string(number);
  for (const Column column : ColumnsOf(true)) {
    *out += ',';
    const int64_t from = RowOf(column, row, first_row);
    const std::string text =
        IsTime(column) ? TimeText(records, column, from) : std::string(records.text(column, from));
    if (!text.empty()) AppendCsvField(text, out);
  }
  *out += '\n';
}

std::optional<std::string> Refusal(const std::vector<TableColumn>& columns, const Records& records,
                                   int64_t row) {
  bool has_extra = false;
  for (const TableColumn& column : columns) {
    const auto* schema = pipeline::RecordSchema().get();
    const int at = schema->GetFieldIndex(column.name);
    if (at < 0 || IsTime(static_cast<Column>(at))) continue;
    const std::string_view text = records.text(static_cast<Column>(at), row);
    has_extra |= static_cast<Column>(at) == Column::kExtra;
    if (text.find('\0') != std::string_view::npos)
      return fmt::format("{} holds a NUL character, which Redshift cannot store", column.name);
    // Staging is narrower than SUPER.
    const int64_t limit = column.max_bytes >= 0 ? column.max_bytes : 65'535;
    if (static_cast<int64_t>(text.size()) > limit)
      return fmt::format("{} has {} bytes, and the table takes {}", column.name, text.size(), limit);
  }
  if (!has_extra && !records.text(Column::kExtra, row).empty())
    return fmt::format(
        "the record has fields that the model does not know, and the table no column 'extra' (super) to "
        "keep them: {}",
        records.text(Column::kExtra, row).substr(0, 200));
  return std::nullopt;
}

}  // namespace sluice::connectors::redshift

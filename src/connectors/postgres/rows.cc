#include "connectors/postgres/rows.h"

#include <arrow/api.h>

#include <algorithm>

#include "columnar/arrow_status.h"
#include "pipeline/record.h"

namespace sluice::connectors::postgres {
namespace {

using pipeline::Column;
using pipeline::ColumnName;

constexpr int64_t kEpochMicros = 946'684'800'000'000;  // 2000-01-01, from where PostgreSQL counts
constexpr uint32_t kNull = 0xffffffff;
constexpr size_t kUuidLetters = 36;

void AppendBig16(uint16_t value, std::string* out) {
  *out += static_cast<char>(value >> 8);
  *out += static_cast<char>(value);
}
void AppendBig32(uint32_t value, std::string* out) {
  for (int shift = 24; shift >= 0; shift -= 8) *out += static_cast<char>(value >> shift);
}
void AppendBig64(uint64_t value, std::string* out) {
  AppendBig32(static_cast<uint32_t>(value >> 32), out);
  AppendBig32(static_cast<uint32_t>(value), out);
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// 8-4-4-4-12 hexadecimal digits.
bool IsUuid(std::string_view text) {
  if (text.size() != kUuidLetters) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (is_dash ? text[i] != '-' : HexDigit(text[i]) < 0) return false;
  }
  return true;
}

void AppendUuid(std::string_view text, std::string* out) {
  int high = -1;
  for (const char c : text) {
    if (c == '-') continue;
    if (high < 0) {
      high = HexDigit(c);
    } else {
      *out += static_cast<char>(high << 4 | HexDigit(c));
      high = -1;
    }
  }
}

int64_t LettersOf(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; });
}

// The code unit of the `\uXXXX` at `at`; -1 when there is none.
int EscapedUnit(std::string_view json, size_t at) {
  if (at + 6 > json.size() || json[at] != '\\' || json[at + 1] != 'u') return -1;
  int unit = 0;
  for (size_t i = at + 2; i < at + 6; ++i) unit = unit << 4 | HexDigit(json[i]);
  return unit;
}

// What jsonb refuses in JSON that is otherwise right.
std::string_view EscapeRefusal(std::string_view json) {
  for (size_t at = json.find('\\'); at != std::string_view::npos; at = json.find('\\', at)) {
    const int unit = EscapedUnit(json, at);
    if (unit == 0) return "holds a NUL character (\\u0000)";
    if (unit >= 0xdc00 && unit < 0xe000) return "holds half a surrogate pair";
    if (unit >= 0xd800 && unit < 0xdc00) {
      const int low = EscapedUnit(json, at + 6);
      if (low < 0xdc00 || low >= 0xe000) return "holds half a surrogate pair";
      at += 6;
    }
    at += 2;  // past what is escaped, which may be another backslash
  }
  return {};
}

// Without its length.
void AppendBytes(const TargetColumn& column, const arrow::Array& array, int64_t row, std::string* out) {
  switch (column.form) {
    case ColumnForm::kTime:
      AppendBig64(
          static_cast<uint64_t>(static_cast<const arrow::TimestampArray&>(array).Value(row) - kEpochMicros),
          out);
      return;
    case ColumnForm::kUuid:
      AppendUuid(static_cast<const arrow::StringArray&>(array).GetView(row), out);
      return;
    case ColumnForm::kJsonb:
      *out += '\x01';  // the version of what follows
      [[fallthrough]];
    case ColumnForm::kText:
    case ColumnForm::kJson:
      *out += static_cast<const arrow::StringArray&>(array).GetView(row);
  }
}

uint32_t LengthOf(const TargetColumn& column, const arrow::Array& array, int64_t row) {
  switch (column.form) {
    case ColumnForm::kTime:
      return 8;
    case ColumnForm::kUuid:
      return 16;
    default:
      return static_cast<uint32_t>(static_cast<const arrow::StringArray&>(array).value_length(row)) +
             (column.form == ColumnForm::kJsonb ? 1 : 0);
  }
}

// Texts are never null in the table; empty JSON is none.
bool IsNull(const TargetColumn& column, const arrow::Array& array, int64_t row) {
  if (column.form == ColumnForm::kJson || column.form == ColumnForm::kJsonb)
    return array.IsNull(row) || static_cast<const arrow::StringArray&>(array).value_length(row) == 0;
  return column.form == ColumnForm::kTime && array.IsNull(row);
}

void AppendField(const TargetColumn& column, const Records& records, int64_t row, std::string* out) {
  const arrow::Array& array = records.array(column.column);
  if (IsNull(column, array, row)) {
    AppendBig32(kNull, out);
    return;
  }
  AppendBig32(LengthOf(column, array, row), out);
  AppendBytes(column, array, row, out);
}

}  // namespace

Records::Records(std::shared_ptr<arrow::RecordBatch> batch) : batch_(std::move(batch)) {
  for (int i = 0; i < pipeline::kColumns; ++i) arrays_[static_cast<size_t>(i)] = batch_->column(i).get();
}

Result<Records> Records::WithSmallUuids() const {
  constexpr int kUuid = static_cast<int>(Column::kUuid);
  arrow::StringBuilder builder;
  RETURN_IF_ARROW_ERROR(builder.Reserve(rows()));
  for (int64_t row = 0; row < rows(); ++row) {
    std::string uuid(text(Column::kUuid, row));
    for (char& c : uuid) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    RETURN_IF_ARROW_ERROR(builder.Append(uuid));
  }
  std::shared_ptr<arrow::Array> uuids;
  RETURN_IF_ARROW_ERROR(builder.Finish(&uuids));
  ASSIGN_OR_RETURN_ARROW(auto batch,
                         batch_->SetColumn(kUuid, pipeline::RecordSchema()->field(kUuid), std::move(uuids)));
  return Records(std::move(batch));
}

int64_t Records::rows() const { return batch_->num_rows(); }

std::string_view Records::text(Column column, int64_t row) const {
  return static_cast<const arrow::StringArray&>(array(column)).GetView(row);
}

std::optional<std::string> Refusal(const Target& target, const Records& records, int64_t row) {
  for (const TargetColumn& column : target.columns) {
    if (column.form == ColumnForm::kTime) continue;
    const std::string_view text = records.text(column.column, row);
    const std::string_view name = ColumnName(column.column);
    if (text.find('\0') != std::string_view::npos)
      return fmt::format("{} holds a NUL character, which PostgreSQL cannot store", name);
    if (column.form == ColumnForm::kUuid && !IsUuid(text))
      return fmt::format("{} '{}' is no UUID, and the table's column is of that type", name,
                         text.substr(0, 100));
    if (column.form == ColumnForm::kJsonb) {
      if (const std::string_view why = EscapeRefusal(text); !why.empty())
        return fmt::format("{} {}, which PostgreSQL cannot store", name, why);
    }
    if (column.max_letters >= 0 && static_cast<int64_t>(text.size()) > column.max_letters &&
        LettersOf(text) > column.max_letters) {
      return fmt::format("{} has {} characters, and the table's column takes {}", name, LettersOf(text),
                         column.max_letters);
    }
  }
  if (!target.has_extra && !records.text(Column::kExtra, row).empty()) {
    return fmt::format(
        "the record has fields that the model does not know, and the table no column 'extra' "
        "(jsonb) to keep them: {}",
        records.text(Column::kExtra, row).substr(0, 200));
  }
  return std::nullopt;
}

std::string_view CopyBeginning() { return std::string_view("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19); }
std::string_view CopyEnd() { return "\377\377"; }

void AppendCopyRow(const Target& target, const Records& records, int64_t row, std::optional<int32_t> number,
                   int64_t first_row, std::string* out) {
  AppendBig16(static_cast<uint16_t>(target.columns.size() + (number ? 1 : 0)), out);
  if (number) {
    AppendBig32(4, out);
    AppendBig32(static_cast<uint32_t>(*number), out);
  }
  for (const TargetColumn& column : target.columns)
    AppendField(column, records,
                column.column == Column::kCreatedAt || column.column == Column::kUuid ? first_row : row, out);
}

Parameter ArrayOf(const TargetColumn& column, const Records& records, std::span<const int64_t> rows) {
  const arrow::Array& array = records.array(column.column);
  Parameter parameter{.type = column.array_type, .bytes = {}};
  const bool has_nulls =
      std::any_of(rows.begin(), rows.end(), [&](int64_t row) { return IsNull(column, array, row); });
  AppendBig32(1, &parameter.bytes);  // dimensions
  AppendBig32(has_nulls ? 1 : 0, &parameter.bytes);
  AppendBig32(column.type, &parameter.bytes);
  AppendBig32(static_cast<uint32_t>(rows.size()), &parameter.bytes);
  AppendBig32(1, &parameter.bytes);  // the first index
  for (const int64_t row : rows) AppendField(column, records, row, &parameter.bytes);
  return parameter;
}

}  // namespace sluice::connectors::postgres

#include "merge/testing/small_rows.h"

#include <arrow/api.h>
#include <arrow/util/checked_cast.h>
#include <fmt/ranges.h>

#include <array>
#include <cstdlib>

#include "columnar/keys.h"

namespace sluice::merge::testing {
namespace {

using arrow::internal::checked_cast;

constexpr std::array<std::string_view, 4> kOps = {"+A", "-R", "-C", "+C"};
constexpr std::string_view kNull = "·";

std::string Text(const std::optional<int>& value) {
  return value ? std::to_string(*value) : std::string(kNull);
}

std::string Strip(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return std::string(text);
}

std::optional<int> Number(const std::string& text) {
  return text == kNull ? std::nullopt : std::optional(std::atoi(text.c_str()));
}

Row ParseRow(std::string text) {
  Row row;
  for (size_t op = 0; op < kOps.size(); ++op) {
    if (!text.starts_with(kOps[op])) continue;
    row.op = static_cast<int>(op);
    text = Strip(text.substr(2));
  }
  if (const size_t hash = text.find('#'); hash != std::string::npos) {
    row.year = Number(Strip(text.substr(hash + 1)));
    text = Strip(text.substr(0, hash));
  }
  if (const size_t at = text.find('@'); at != std::string::npos) {
    row.event_time = Number(text.substr(at + 1));
    text = text.substr(0, at);
  }
  const size_t city = text.starts_with(kNull) ? kNull.size() : 1;
  if (!text.starts_with(kNull)) row.city = text.substr(0, city);
  row.value = Number(text.substr(city));
  return row;
}

template <class Builder, class Value>
std::shared_ptr<arrow::Array> Column(Builder&& builder, const Rows& rows, std::optional<Value> Row::* field) {
  for (const Row& row : rows) {
    const auto& value = row.*field;
    (void)(value ? builder.Append(*value) : builder.AppendNull());
  }
  return builder.Finish().ValueOrDie();
}

template <class ArrayType, class Value>
void Read(const arrow::RecordBatch& batch, const std::string& name, std::optional<Value> Row::* field,
          Rows* rows) {
  const auto column = batch.GetColumnByName(name);
  if (column == nullptr) return;
  const auto& values = checked_cast<const ArrayType&>(*column);
  for (int64_t i = 0; i < values.length(); ++i) {
    (*rows)[static_cast<size_t>(i)].*field =
        values.IsNull(i) ? std::nullopt : std::optional(Value(values.GetView(i)));
  }
}

}  // namespace

std::string ToString(const Row& row) {
  std::string text = row.op ? std::string(kOps[static_cast<size_t>(*row.op)]) + " " : "";
  text += row.city.value_or(std::string(kNull)) + Text(row.value);
  if (row.event_time) text += "@" + Text(row.event_time);
  if (row.year != 2020) text += " #" + Text(row.year);
  return text;
}

std::string ToString(const Rows& rows) {
  std::vector<std::string> texts;
  for (const Row& row : rows) texts.push_back(ToString(row));
  return fmt::format("{}", fmt::join(texts, ", "));
}

Rows Parse(const std::string& text) {
  Rows rows;
  if (Strip(text).empty()) return rows;
  for (size_t start = 0; start <= text.size();) {
    const size_t comma = std::min(text.find(',', start), text.size());
    rows.push_back(ParseRow(Strip(text.substr(start, comma - start))));
    start = comma + 1;
  }
  return rows;
}

std::shared_ptr<arrow::Schema> SmallSchema(bool with_op) {
  arrow::FieldVector fields{arrow::field("event_time", arrow::timestamp(arrow::TimeUnit::MILLI, "UTC")),
                            arrow::field("year", arrow::int32()), arrow::field("city", arrow::utf8()),
                            arrow::field("value", arrow::int32())};
  if (with_op) fields.insert(fields.begin(), arrow::field("op", arrow::int32()));
  return arrow::schema(std::move(fields));
}

std::shared_ptr<arrow::RecordBatch> ToBatch(const Rows& rows, bool with_op) {
  arrow::ArrayVector columns{Column(arrow::TimestampBuilder(arrow::timestamp(arrow::TimeUnit::MILLI, "UTC"),
                                                            arrow::default_memory_pool()),
                                    rows, &Row::event_time),
                             Column(arrow::Int32Builder(), rows, &Row::year),
                             Column(arrow::StringBuilder(), rows, &Row::city),
                             Column(arrow::Int32Builder(), rows, &Row::value)};
  if (with_op) columns.insert(columns.begin(), Column(arrow::Int32Builder(), rows, &Row::op));
  return arrow::RecordBatch::Make(SmallSchema(with_op), static_cast<int64_t>(rows.size()),
                                  std::move(columns));
}

Rows FromBatches(const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches) {
  Rows all;
  for (const auto& batch : batches) {
    if (batch == nullptr) continue;
    Rows rows(static_cast<size_t>(batch->num_rows()));
    Read<arrow::Int32Array>(*batch, "op", &Row::op, &rows);
    Read<arrow::TimestampArray>(*batch, "event_time", &Row::event_time, &rows);
    Read<arrow::Int32Array>(*batch, "year", &Row::year, &rows);
    Read<arrow::StringArray>(*batch, "city", &Row::city, &rows);
    Read<arrow::Int32Array>(*batch, "value", &Row::value, &rows);
    all.insert(all.end(), rows.begin(), rows.end());
  }
  return all;
}

Status MemoryHistory::Commit(const Rows& rows) { return CommitBatch(*ToBatch(rows, true)); }

Status MemoryHistory::CommitBatch(const arrow::RecordBatch& output) {
  const auto ops = output.GetColumnByName("op");
  auto data = output.RemoveColumn(output.schema()->GetFieldIndex("op"));
  if (!data.ok()) return Internal("{}", data.status().message());
  schema_ = (*data)->schema();
  ASSIGN_OR_RETURN(const auto encoder, columnar::KeyEncoder::Make(*schema_, key_));
  ASSIGN_OR_RETURN(const auto codec, columnar::RowCodec::Make(schema_));
  columnar::PackedBytes keys, rows;
  RETURN_IF_ERROR(encoder.Encode(**data, &keys, nullptr));
  RETURN_IF_ERROR(codec.Encode(**data, &rows));
  for (size_t i = 0; i < keys.size(); ++i) {
    const int op = checked_cast<const arrow::Int32Array&>(*ops).Value(static_cast<int64_t>(i));
    auto& state = states_[std::string(keys[i])];
    state = op == 1 ? std::nullopt : std::optional<std::string>(rows[i]);
  }
  return OkStatus();
}

Result<std::vector<KeyState>> MemoryHistory::Find(const std::vector<std::string_view>& keys) {
  asked += static_cast<int64_t>(keys.size());
  std::vector<KeyState> answers;
  for (std::string_view key : keys) {
    const auto state = states_.find(key);
    answers.push_back(state == states_.end() ? KeyState{} : KeyState{true, state->second});
  }
  return answers;
}

Status MemoryHistory::Scan(const std::function<Status(std::string_view, std::string_view)>& visit) {
  for (const auto& [key, row] : states_) {
    if (row) RETURN_IF_ERROR(visit(key, *row));
  }
  return OkStatus();
}

}  // namespace sluice::merge::testing

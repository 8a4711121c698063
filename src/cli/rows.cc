#include "cli/rows.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "columnar/arrow_status.h"

namespace sluice::cli {

RowTable& RowTable::Text(std::string name) {
  columns_.emplace_back(std::move(name), Kind::kText);
  return *this;
}
RowTable& RowTable::Integer(std::string name) {
  columns_.emplace_back(std::move(name), Kind::kInteger);
  return *this;
}
RowTable& RowTable::Time(std::string name) {
  columns_.emplace_back(std::move(name), Kind::kTime);
  return *this;
}

Status RowTable::Print(Session& session, columnar::OutputFormat format) const {
  const auto millis = arrow::timestamp(arrow::TimeUnit::MILLI, "UTC");
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (size_t c = 0; c < columns_.size(); ++c) {
    arrow::StringBuilder texts;
    arrow::Int64Builder integers;
    arrow::TimestampBuilder times(millis, arrow::default_memory_pool());
    arrow::ArrayBuilder* builder = &texts;
    if (columns_[c].second == Kind::kInteger) builder = &integers;
    if (columns_[c].second == Kind::kTime) builder = &times;
    for (const auto& row : rows_) {
      if (const auto* text = std::get_if<std::string>(&row[c])) {
        RETURN_IF_ARROW_ERROR(texts.Append(*text));
      } else if (const auto* integer = std::get_if<int64_t>(&row[c])) {
        RETURN_IF_ARROW_ERROR(integers.Append(*integer));
      } else if (const auto* time = std::get_if<Instant>(&row[c])) {
        RETURN_IF_ARROW_ERROR(times.Append(time->ToMillis()));
      } else {
        RETURN_IF_ARROW_ERROR(builder->AppendNull());
      }
    }
    ASSIGN_OR_RETURN_ARROW(auto array, builder->Finish());
    fields.push_back(arrow::field(columns_[c].first, array->type()));
    arrays.push_back(std::move(array));
  }
  auto schema = arrow::schema(fields);
  columnar::FormatOptions options;
  options.max_cell_width = 0;  // ids and hashes are of use as a whole only
  ASSIGN_OR_RETURN(auto writer,
                   columnar::RowWriter::Make(
                       format, schema, [&](std::string_view text) { return session.Out(text); }, options));
  auto batch = arrow::RecordBatch::Make(schema, static_cast<int64_t>(rows_.size()), std::move(arrays));
  RETURN_IF_ERROR(writer->Write(*batch));
  return writer->Finish();
}

}  // namespace sluice::cli

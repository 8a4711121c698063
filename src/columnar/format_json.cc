#include <arrow/type.h>

#include "columnar/format_internal.h"

// The JSON formats. Rows are written one a line, which JSON does not mind and people can read.
namespace sluice::columnar {
namespace {

std::vector<std::string> JsonNames(const arrow::Schema& schema) {
  std::vector<std::string> names;
  for (const auto& field : schema.fields()) AppendJsonString(field->name(), &names.emplace_back());
  return names;
}

// How rows stand in the output: `{"a":1,"b":2}` or `[1,2]`, and what is before, between and after them.
struct RowShape {
  bool objects;
  std::string_view before, between, after;
};

class JsonRowsWriter final : public TextRowWriter {
 public:
  JsonRowsWriter(std::shared_ptr<arrow::Schema> schema, Sink sink, RowShape shape)
      : TextRowWriter(schema, CellStyle::kJson, std::move(sink)), shape_(shape), labels_(JsonNames(*schema)) {
    for (auto& label : labels_) label = shape_.objects ? label + ":" : "";
    buffer_.append(shape_.before);
  }

  Status Finish() override {
    buffer_.append(shape_.after);
    return Flush();
  }

 private:
  Status WriteRows(const std::vector<CellColumn>& columns, size_t rows) override {
    for (size_t row = 0; row < rows; ++row) {
      if (!first_) buffer_.append(shape_.between);
      first_ = false;
      buffer_.push_back(shape_.objects ? '{' : '[');
      for (size_t i = 0; i < columns.size(); ++i) {
        if (i > 0) buffer_.push_back(',');
        buffer_.append(labels_[i]);
        buffer_.append(columns[i][row]);
      }
      buffer_.push_back(shape_.objects ? '}' : ']');
      if (shape_.between.empty()) buffer_.push_back('\n');
    }
    return FlushIfLarge();
  }

  RowShape shape_;
  std::vector<std::string> labels_;
  bool first_ = true;
};

// One object of columns: nothing can be written before all rows are known.
class JsonColumnsWriter final : public TextRowWriter {
 public:
  JsonColumnsWriter(std::shared_ptr<arrow::Schema> schema, Sink sink)
      : TextRowWriter(schema, CellStyle::kJson, std::move(sink)),
        names_(JsonNames(*schema)),
        values_(names_.size()) {}

  Status Finish() override {
    buffer_.push_back('{');
    for (size_t i = 0; i < names_.size(); ++i) {
      if (i > 0) buffer_.append(",\n");
      buffer_.append(names_[i]).append(":[").append(values_[i]).push_back(']');
      values_[i] = {};
      RETURN_IF_ERROR(FlushIfLarge());
    }
    buffer_.append("}\n");
    return Flush();
  }

 private:
  Status WriteRows(const std::vector<CellColumn>& columns, size_t rows) override {
    for (size_t i = 0; i < columns.size(); ++i) {
      for (size_t row = 0; row < rows; ++row) {
        if (!values_[i].empty()) values_[i].push_back(',');
        values_[i].append(columns[i][row]);
      }
    }
    return {};
  }

  std::vector<std::string> names_;
  std::vector<std::string> values_;
};

}  // namespace

std::unique_ptr<RowWriter> MakeJsonWriter(OutputFormat format, std::shared_ptr<arrow::Schema> schema,
                                          Sink sink) {
  static constexpr RowShape kArrayOfObjects{true, "[", ",\n", "]\n"};
  static constexpr RowShape kArrayOfArrays{false, "[", ",\n", "]\n"};
  static constexpr RowShape kLines{true, "", "", ""};
  switch (format) {
    case OutputFormat::kJsonSoa:
      return std::make_unique<JsonColumnsWriter>(std::move(schema), std::move(sink));
    case OutputFormat::kJsonAoa:
      return std::make_unique<JsonRowsWriter>(std::move(schema), std::move(sink), kArrayOfArrays);
    case OutputFormat::kNdJson:
      return std::make_unique<JsonRowsWriter>(std::move(schema), std::move(sink), kLines);
    default:
      return std::make_unique<JsonRowsWriter>(std::move(schema), std::move(sink), kArrayOfObjects);
  }
}

}  // namespace sluice::columnar

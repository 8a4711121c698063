#include <arrow/type.h>

#include "columnar/format_internal.h"

// CSV as RFC 4180 has it, lines ended by LF: a header, quotes where a value needs them, NULL as nothing, the
// empty text as
// "".
namespace sluice::columnar {
namespace {

// A header cell needs quotes under the same rules as a value.
std::string CsvName(const std::string& name) {
  if (!name.empty() && name.find_first_of(",\"\r\n") == std::string::npos && name.front() != ' ' &&
      name.back() != ' ') {
    return name;
  }
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted.push_back('"');
    quoted.push_back(c);
  }
  return quoted + '"';
}

class CsvWriter final : public TextRowWriter {
 public:
  CsvWriter(std::shared_ptr<arrow::Schema> schema, Sink sink)
      : TextRowWriter(std::move(schema), CellStyle::kCsv, std::move(sink)) {
    for (size_t i = 0; i < column_count(); ++i) {
      if (i > 0) buffer_.push_back(',');
      buffer_.append(CsvName(column_name(i)));
    }
    if (column_count() > 0) buffer_.push_back('\n');
  }

  Status Finish() override { return Flush(); }

 private:
  Status WriteRows(const std::vector<CellColumn>& columns, size_t rows) override {
    for (size_t row = 0; row < rows; ++row) {
      // A line of one NULL would be an empty line, which readers skip.
      if (columns.size() == 1 && columns[0][row].empty()) buffer_.append("\"\"");
      for (size_t i = 0; i < columns.size(); ++i) {
        if (i > 0) buffer_.push_back(',');
        buffer_.append(columns[i][row]);
      }
      buffer_.push_back('\n');
    }
    return FlushIfLarge();
  }
};

}  // namespace

std::unique_ptr<RowWriter> MakeCsvWriter(std::shared_ptr<arrow::Schema> schema, Sink sink) {
  return std::make_unique<CsvWriter>(std::move(schema), std::move(sink));
}

}  // namespace sluice::columnar

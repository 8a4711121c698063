#include <arrow/type.h>

#include <algorithm>

#include "columnar/display_width_internal.h"
#include "columnar/format_internal.h"

// The table that people read. It is laid out when all rows are known, because a column is as wide as its
// widest cell.
namespace sluice::columnar {
namespace {

std::string_view OpName(std::string_view op) {
  static constexpr std::string_view kNames[] = {"+A", "-R", "-C", "+C"};
  return op.size() == 1 && op[0] >= '0' && op[0] <= '3' ? kNames[op[0] - '0'] : op;
}

class TableWriter final : public TextRowWriter {
 public:
  TableWriter(std::shared_ptr<arrow::Schema> schema, Sink sink, FormatOptions options)
      : TextRowWriter(std::move(schema), CellStyle::kText, std::move(sink)), options_(std::move(options)) {
    for (size_t i = 0; i < column_count(); ++i) {
      headers_.push_back(DisplayCell(column_name(i), 0));
      widths_.push_back(DisplayWidth(headers_.back()));
    }
    cells_.resize(column_count());
  }

  Status Finish() override {
    AppendRule("┌", "┬", "┐");
    AppendLine([&](size_t column) { AppendCentred(headers_[column], widths_[column]); });
    AppendRule("├", "┼", "┤");
    for (size_t row = 0; row < rows_; ++row) {
      AppendLine([&](size_t column) { AppendRight(cells_[column][row], widths_[column]); });
      RETURN_IF_ERROR(FlushIfLarge());
    }
    // Without rows one blank line closes the box.
    if (rows_ == 0) AppendLine([&](size_t column) { AppendRight("", widths_[column]); });
    AppendRule("└", "┴", "┘");
    return Flush();
  }

 private:
  Status WriteRows(const std::vector<CellColumn>& columns, size_t rows) override {
    for (size_t i = 0; i < columns.size(); ++i) {
      const bool op = !options_.op_column.empty() && column_name(i) == options_.op_column;
      for (size_t row = 0; row < rows; ++row) {
        const std::string_view text = op ? OpName(columns[i][row]) : columns[i][row];
        cells_[i].push_back(DisplayCell(text, options_.max_cell_width));
        widths_[i] = std::max(widths_[i], DisplayWidth(cells_[i].back()));
      }
    }
    rows_ += rows;
    return {};
  }

  void AppendRule(std::string_view left, std::string_view between, std::string_view right) {
    buffer_ += left;
    for (size_t i = 0; i < widths_.size(); ++i) {
      if (i > 0) buffer_ += between;
      for (size_t n = 0; n < widths_[i] + 2; ++n) buffer_ += "─";
    }
    buffer_ += right;
    buffer_ += '\n';
  }

  template <class Cell>
  void AppendLine(Cell cell) {
    buffer_ += "│";
    for (size_t i = 0; i < widths_.size(); ++i) {
      if (i > 0) buffer_ += "│";
      buffer_ += ' ';
      cell(i);
      buffer_ += ' ';
    }
    buffer_ += "│\n";
  }

  void AppendCentred(std::string_view text, size_t width) {
    const size_t space = width - DisplayWidth(text);
    buffer_.append(space / 2, ' ');
    buffer_ += text;
    buffer_.append(space - space / 2, ' ');
  }

  void AppendRight(std::string_view text, size_t width) {
    buffer_.append(width - DisplayWidth(text), ' ');
    buffer_ += text;
  }

  FormatOptions options_;
  std::vector<std::string> headers_;
  std::vector<size_t> widths_;
  std::vector<std::vector<std::string>> cells_;  // by column
  size_t rows_ = 0;
};

}  // namespace

std::unique_ptr<RowWriter> MakeTableWriter(std::shared_ptr<arrow::Schema> schema, Sink sink,
                                           FormatOptions options) {
  return std::make_unique<TableWriter>(std::move(schema), std::move(sink), std::move(options));
}

}  // namespace sluice::columnar

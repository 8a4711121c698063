#pragma once

#include <memory>
#include <vector>

#include "columnar/cell_text_internal.h"
#include "columnar/format.h"

// The row writers behind RowWriter::Make.
namespace sluice::columnar {

// What all text formats share: plain types, and cells formatted a column at a time in pieces that stay in the
// cache.
class TextRowWriter : public RowWriter {
 public:
  TextRowWriter(std::shared_ptr<arrow::Schema> schema, CellStyle style, Sink sink);
  Status Write(const arrow::RecordBatch& batch) final;

 protected:
  // `columns` hold `rows` cells each.
  virtual Status WriteRows(const std::vector<CellColumn>& columns, size_t rows) = 0;

  const arrow::Schema& schema() const { return *schema_; }
  size_t column_count() const { return cells_.size(); }
  const std::string& column_name(size_t column) const;
  // Hands the buffered text to the sink once there is enough of it, or at once.
  Status FlushIfLarge();
  Status Flush();

  std::string buffer_;

 private:
  std::shared_ptr<arrow::Schema> schema_;  // plain
  CellStyle style_;
  Sink sink_;
  std::vector<CellColumn> cells_;
};

std::unique_ptr<RowWriter> MakeTableWriter(std::shared_ptr<arrow::Schema> schema, Sink sink,
                                           FormatOptions options);
std::unique_ptr<RowWriter> MakeCsvWriter(std::shared_ptr<arrow::Schema> schema, Sink sink);
std::unique_ptr<RowWriter> MakeJsonWriter(OutputFormat format, std::shared_ptr<arrow::Schema> schema,
                                          Sink sink);
std::unique_ptr<RowWriter> MakeParquetWriter(std::shared_ptr<arrow::Schema> schema, Sink sink);

}  // namespace sluice::columnar

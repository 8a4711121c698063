#include "columnar/format.h"

#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <array>
#include <set>

#include "columnar/arrow_status.h"
#include "columnar/format_internal.h"
#include "columnar/parquet_encoder_internal.h"
#include "columnar/plain_types.h"

namespace sluice::columnar {
namespace {

constexpr int64_t kRowsAtOnce = 2048;
constexpr size_t kFlushBytes = 64 * 1024;

struct FormatName {
  OutputFormat format;
  std::string_view name;
};
constexpr std::array<FormatName, 7> kFormats = {{{OutputFormat::kTable, "table"},
                                                 {OutputFormat::kCsv, "csv"},
                                                 {OutputFormat::kJson, "json"},
                                                 {OutputFormat::kNdJson, "ndjson"},
                                                 {OutputFormat::kJsonSoa, "json-soa"},
                                                 {OutputFormat::kJsonAoa, "json-aoa"},
                                                 {OutputFormat::kParquet, "parquet"}}};

// Keeps the sink's own error, which says more than what Parquet makes of it.
class SinkStream final : public arrow::io::OutputStream {
 public:
  explicit SinkStream(Sink sink) : sink_(std::move(sink)) {}

  using arrow::io::OutputStream::Write;
  arrow::Status Close() override { return arrow::Status::OK(); }
  bool closed() const override { return false; }
  arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Status Write(const void* data, int64_t size) override {
    position_ += size;
    if (sink_ == nullptr) return arrow::Status::OK();
    status_ = sink_({static_cast<const char*>(data), static_cast<size_t>(size)});
    if (status_.ok()) return arrow::Status::OK();
    sink_ = nullptr;
    return arrow::Status::Cancelled("the output was closed");
  }
  // From now on nothing reaches the sink.
  void Detach() { sink_ = nullptr; }
  const Status& status() const { return status_; }

 private:
  Sink sink_;
  Status status_;
  int64_t position_ = 0;
};

class ParquetWriter final : public RowWriter {
 public:
  ParquetWriter(std::shared_ptr<arrow::Schema> schema, Sink sink)
      : schema_(StoredSchema(*schema)),
        stream_(std::make_shared<SinkStream>(std::move(sink))),
        encoder_(schema_, stream_, {}) {}
  ~ParquetWriter() override { stream_->Detach(); }

  Status Write(const arrow::RecordBatch& batch) override {
    ASSIGN_OR_RETURN(auto batches, ConvertBatch(batch.Slice(0), schema_));
    for (const auto& part : batches) {
      Status status = encoder_.Write(*part);
      RETURN_IF_ERROR(Status(stream_->status()));
      RETURN_IF_ERROR(std::move(status));
    }
    return {};
  }
  Status Finish() override {
    Status status = encoder_.Close();
    RETURN_IF_ERROR(Status(stream_->status()));
    return status;
  }

 private:
  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<SinkStream> stream_;
  ParquetEncoder encoder_;
};

}  // namespace

Result<OutputFormat> ParseOutputFormat(std::string_view name) {
  std::string names;
  for (const auto& row : kFormats) {
    if (row.name == name) return row.format;
    names.append(names.empty() ? "" : ", ").append(row.name);
  }
  return InvalidArgument("unknown output format '{}', choose one of: {}", name, names);
}

std::string_view NameOf(OutputFormat format) { return kFormats[static_cast<size_t>(format)].name; }

TextRowWriter::TextRowWriter(std::shared_ptr<arrow::Schema> schema, CellStyle style, Sink sink)
    : schema_(PlainSchema(*schema)),
      style_(style),
      sink_(std::move(sink)),
      cells_(static_cast<size_t>(schema_->num_fields())) {}

const std::string& TextRowWriter::column_name(size_t column) const {
  return schema_->field(static_cast<int>(column))->name();
}

Status TextRowWriter::Write(const arrow::RecordBatch& batch) {
  for (int64_t begin = 0; begin < batch.num_rows(); begin += kRowsAtOnce) {
    ASSIGN_OR_RETURN(auto parts, ConvertBatch(batch.Slice(begin, kRowsAtOnce), schema_));
    for (const auto& part : parts) {
      for (size_t i = 0; i < cells_.size(); ++i) {
        RETURN_IF_ERROR(FormatCells(*part->column(static_cast<int>(i)), style_, &cells_[i]));
      }
      RETURN_IF_ERROR(WriteRows(cells_, static_cast<size_t>(part->num_rows())));
    }
  }
  return {};
}

Status TextRowWriter::FlushIfLarge() { return buffer_.size() < kFlushBytes ? Status() : Flush(); }

Status TextRowWriter::Flush() {
  if (buffer_.empty()) return {};
  Status status = sink_(buffer_);
  buffer_.clear();
  return status;
}

std::unique_ptr<RowWriter> MakeParquetWriter(std::shared_ptr<arrow::Schema> schema, Sink sink) {
  return std::make_unique<ParquetWriter>(std::move(schema), std::move(sink));
}

namespace {

// In objects and in Parquet the second column of a name would hide the first.
Status CheckDistinct(const arrow::Schema& schema) {
  std::set<std::string_view> seen;
  for (const auto& field : schema.fields()) {
    if (!seen.insert(field->name()).second) {
      return InvalidArgument("two columns are called '{}', which this format cannot hold: name one with AS",
                             field->name());
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<RowWriter>> RowWriter::Make(OutputFormat format, std::shared_ptr<arrow::Schema> schema,
                                                   Sink sink, FormatOptions options) {
  const bool by_position =
      format == OutputFormat::kTable || format == OutputFormat::kCsv || format == OutputFormat::kJsonAoa;
  if (!by_position) RETURN_IF_ERROR(CheckDistinct(*schema));
  if (format == OutputFormat::kParquet) return MakeParquetWriter(std::move(schema), std::move(sink));
  const auto plain = PlainSchema(*schema);
  for (const auto& field : plain->fields()) {
    RETURN_IF_ERROR(CheckPrintable(field->name(), *field->type()));
  }
  switch (format) {
    case OutputFormat::kTable:
      return MakeTableWriter(std::move(schema), std::move(sink), std::move(options));
    case OutputFormat::kCsv:
      return MakeCsvWriter(std::move(schema), std::move(sink));
    default:
      return MakeJsonWriter(format, std::move(schema), std::move(sink));
  }
}

}  // namespace sluice::columnar

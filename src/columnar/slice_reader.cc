#include <arrow/buffer.h>
#include <arrow/io/file.h>
#include <arrow/io/memory.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <parquet/arrow/reader.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>

#include <algorithm>
#include <deque>
#include <filesystem>

#include "columnar/arrow_status.h"
#include "columnar/parquet_hint_internal.h"
#include "columnar/plain_types.h"
#include "columnar/recycling_pool_internal.h"
#include "columnar/slice.h"

namespace sluice::columnar {
namespace {

constexpr int64_t kBatchRows = 64 * 1024;
constexpr int64_t kStreamBufferBytes = 1 << 20;  // a column's window on the file

Error Damaged(const std::string& name, std::string_view why) {
  return Corruption("file '{}' is not readable as parquet: {}", name, why);
}

// What Parquet says of bytes it cannot read is about the file; only memory and I/O are about this machine.
Error FromParquet(const std::string& name, const arrow::Status& status) {
  if (status.IsOutOfMemory()) return FromArrowStatus(status).With(fmt::format("file '{}'", name));
  return Damaged(name, status.message());
}

template <class Function>
Status Guard(const std::string& name, Function function) {
  try {
    arrow::Status status = function();
    if (!status.ok()) return FromParquet(name, status);
    return {};
  } catch (const parquet::ParquetStatusException& e) {
    return FromParquet(name, e.status());
  } catch (const std::bad_alloc&) {
    return Damaged(name, "it asks for more memory than there is");
  } catch (const std::exception& e) {
    return Damaged(name, e.what());
  }
}

Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenPath(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return NotFound("file '{}' does not exist", path);
  auto file = arrow::io::ReadableFile::Open(path);
  if (!file.ok()) return FromArrowStatus(file.status()).With(fmt::format("file '{}'", path));
  return std::shared_ptr<arrow::io::RandomAccessFile>(std::move(file).ValueUnsafe());
}

Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenNamed(const storage::Storage& storage,
                                                               const std::string& name) {
  if (auto path = storage.LocalPath(name)) return OpenPath(*path);
  ASSIGN_OR_RETURN(std::string bytes, storage.Get(name));
  return std::shared_ptr<arrow::io::RandomAccessFile>(
      std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(std::move(bytes))));
}

std::string JoinNames(const arrow::Schema& schema) {
  std::string names;
  for (const auto& name : schema.field_names()) names += (names.empty() ? "'" : ", '") + name + "'";
  return names;
}

class SliceReaderImpl final : public SliceReader {
 public:
  explicit SliceReaderImpl(std::string name) : name_(std::move(name)) {}

  Status Start(const std::shared_ptr<arrow::io::RandomAccessFile>& file,
               const std::optional<std::vector<std::string>>& columns) {
    RETURN_IF_ERROR(OpenFooter(file));
    ASSIGN_OR_RETURN(const std::vector<int> fields, FieldIndexes(columns));
    std::vector<int> row_groups(static_cast<size_t>(reader_->num_row_groups()));
    for (size_t i = 0; i < row_groups.size(); ++i) row_groups[i] = static_cast<int>(i);
    RETURN_IF_ERROR(Guard(name_, [&]() -> arrow::Status {
      ARROW_ASSIGN_OR_RAISE(batches_, reader_->GetRecordBatchReader(row_groups, LeavesOf(fields)));
      return {};
    }));
    // Parquet gives the columns in file order; the caller's order is made when a batch is handed out.
    arrow::FieldVector chosen;
    for (int field : fields) chosen.push_back(target_->field(field));
    schema_ = arrow::schema(std::move(chosen));
    for (int field : fields) {
      order_.push_back(batches_->schema()->GetFieldIndex(file_schema_->field(field)->name()));
      if (order_.back() < 0) return Damaged(name_, "a column's name is not unique");
    }
    if (fields.empty()) rows_left_ = rows_;
    return {};
  }

  // The file's metadata; enough for rows() and file_schema().
  Status OpenFooter(const std::shared_ptr<arrow::io::RandomAccessFile>& file) {
    parquet::ReaderProperties properties(pool_.get());
    properties.enable_buffered_stream();
    properties.set_buffer_size(kStreamBufferBytes);
    parquet::ArrowReaderProperties arrow_properties;
    arrow_properties.set_batch_size(kBatchRows);
    arrow_properties.set_use_threads(false);
    arrow_properties.set_pre_buffer(false);
    RETURN_IF_ERROR(Guard(name_, [&]() -> arrow::Status {
      parquet::arrow::FileReaderBuilder builder;
      builder.memory_pool(pool_.get());
      ARROW_RETURN_NOT_OK(builder.Open(file, properties));
      builder.properties(arrow_properties);
      ARROW_ASSIGN_OR_RAISE(reader_, builder.Build());
      return reader_->GetSchema(&file_schema_);
    }));
    const auto& metadata = *reader_->parquet_reader()->metadata();
    rows_ = metadata.num_rows();
    int64_t in_groups = 0;
    for (int i = 0; i < metadata.num_row_groups(); ++i) in_groups += metadata.RowGroup(i)->num_rows();
    if (rows_ < 0 || in_groups != rows_) {
      return Damaged(name_, fmt::format("{} rows in its footer, {} in its row groups", rows_, in_groups));
    }
    target_ = ApplyHint(*PlainSchema(*file_schema_), metadata.key_value_metadata().get());
    return {};
  }

  std::shared_ptr<arrow::Schema> file_schema() const { return target_; }
  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  int64_t rows() const override { return rows_; }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    if (order_.empty()) return NextWithoutColumns();
    while (ready_.empty()) {
      std::shared_ptr<arrow::RecordBatch> batch;
      RETURN_IF_ERROR(Guard(name_, [&] { return batches_->ReadNext(&batch); }));
      if (batch == nullptr) return AtEnd();
      if (batch->num_rows() == 0) continue;
      rows_read_ += batch->num_rows();
      RETURN_IF_ERROR(Accept(*batch));
    }
    auto batch = std::move(ready_.front());
    ready_.pop_front();
    return batch;
  }

 private:
  Result<std::vector<int>> FieldIndexes(const std::optional<std::vector<std::string>>& columns) const {
    std::vector<int> fields;
    if (!columns.has_value()) {
      for (int i = 0; i < file_schema_->num_fields(); ++i) fields.push_back(i);
      return fields;
    }
    for (const std::string& column : *columns) {
      const int field = file_schema_->GetFieldIndex(column);
      if (field < 0) {
        return InvalidArgument("no column '{}' in file '{}', which has {}", column, name_,
                               JoinNames(*file_schema_));
      }
      fields.push_back(field);
    }
    return fields;
  }

  // Parquet numbers the leaves of nested columns one by one.
  std::vector<int> LeavesOf(const std::vector<int>& fields) const {
    const auto* schema = reader_->parquet_reader()->metadata()->schema();
    std::vector<int> leaves;
    for (int leaf = 0; leaf < schema->num_columns(); ++leaf) {
      const int field = schema->group_node()->FieldIndex(*schema->GetColumnRoot(leaf));
      if (std::find(fields.begin(), fields.end(), field) != fields.end()) leaves.push_back(leaf);
    }
    return leaves;
  }

  Status Accept(const arrow::RecordBatch& batch) {
    arrow::ArrayVector columns;
    for (int position : order_) columns.push_back(batch.column(position));
    arrow::FieldVector fields;
    for (int position : order_) fields.push_back(batch.schema()->field(position));
    auto chosen =
        arrow::RecordBatch::Make(arrow::schema(std::move(fields)), batch.num_rows(), std::move(columns));
    ASSIGN_OR_RETURN(auto converted, ConvertBatch(chosen, schema_));
    ready_.insert(ready_.end(), converted.begin(), converted.end());
    return {};
  }

  Result<std::shared_ptr<arrow::RecordBatch>> AtEnd() const {
    if (rows_read_ != rows_)
      return Damaged(name_, fmt::format("{} rows where {} should be", rows_read_, rows_));
    return std::shared_ptr<arrow::RecordBatch>();
  }

  Result<std::shared_ptr<arrow::RecordBatch>> NextWithoutColumns() {
    if (rows_left_ == 0) return std::shared_ptr<arrow::RecordBatch>();
    const int64_t rows = std::min(rows_left_, kBatchRows);
    rows_left_ -= rows;
    return arrow::RecordBatch::Make(schema_, rows, arrow::ArrayVector{});
  }

  const std::string name_;
  RecyclingPoolOwner pool_{new RecyclingPool(arrow::default_memory_pool())};  // batches may live longer
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::unique_ptr<arrow::RecordBatchReader> batches_;
  std::shared_ptr<arrow::Schema> file_schema_;  // as Parquet gives it
  std::shared_ptr<arrow::Schema> target_;       // plain, all columns
  std::shared_ptr<arrow::Schema> schema_;       // plain, the chosen columns
  std::vector<int> order_;                      // of the chosen columns in Parquet's batches
  std::deque<std::shared_ptr<arrow::RecordBatch>> ready_;
  int64_t rows_ = 0;
  int64_t rows_read_ = 0;
  int64_t rows_left_ = 0;  // only when no column was asked for
};

Result<std::unique_ptr<SliceReader>> MakeReader(const std::string& name,
                                                Result<std::shared_ptr<arrow::io::RandomAccessFile>> file,
                                                const std::optional<std::vector<std::string>>& columns) {
  if (!file.ok()) return std::move(file).error();
  auto reader = std::make_unique<SliceReaderImpl>(name);
  RETURN_IF_ERROR(reader->Start(*file, columns));
  return reader;
}

}  // namespace

Result<SliceMetadata> ReadSliceMetadata(const storage::Storage& storage, const std::string& name) {
  ASSIGN_OR_RETURN(auto file, OpenNamed(storage, name));
  SliceReaderImpl reader(name);
  RETURN_IF_ERROR(reader.OpenFooter(file));
  SliceMetadata metadata;
  metadata.rows = reader.rows();
  metadata.schema = reader.file_schema();
  ASSIGN_OR_RETURN_ARROW(const int64_t size, file->GetSize());
  metadata.size = static_cast<uint64_t>(size);
  return metadata;
}

Result<std::unique_ptr<SliceReader>> SliceReader::Open(const storage::Storage& storage,
                                                       const std::string& name,
                                                       std::optional<std::vector<std::string>> columns) {
  return MakeReader(name, OpenNamed(storage, name), columns);
}

Result<std::unique_ptr<SliceReader>> SliceReader::OpenFile(const std::string& path,
                                                           std::optional<std::vector<std::string>> columns) {
  return MakeReader(path, OpenPath(path), columns);
}

Result<std::unique_ptr<SliceReader>> SliceReader::OpenStaged(storage::StagedFile& file) {
  const std::string path = file.local_path();
  ASSIGN_OR_RETURN(std::string bytes,
                   file.ReadAt(0, path.empty() ? file.size() : 0));  // also writes out what is buffered
  if (!path.empty()) return OpenFile(path);
  const std::shared_ptr<arrow::io::RandomAccessFile> input =
      std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(std::move(bytes)));
  return MakeReader("staged slice", input, std::nullopt);
}

}  // namespace sluice::columnar

#include <arrow/array.h>
#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/util/compression.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "columnar/arrow_status.h"
#include "columnar/row_order_internal.h"
#include "columnar/sort_run_internal.h"

namespace sluice::columnar {
namespace {

class ListSource final : public BatchSource {
 public:
  explicit ListSource(std::vector<BatchPtr> batches) : batches_(std::move(batches)) {}

  Result<BatchPtr> Next() override {
    if (next_ == batches_.size()) return BatchPtr();
    return std::move(batches_[next_++]);
  }

 private:
  std::vector<BatchPtr> batches_;
  size_t next_ = 0;
};

class OrderedSource final : public BatchSource {
 public:
  OrderedSource(BatchPtr batch, std::vector<uint32_t> rows, int64_t batch_rows)
      : batch_(std::move(batch)), rows_(std::move(rows)), batch_rows_(static_cast<size_t>(batch_rows)) {}

  Result<BatchPtr> Next() override {
    const size_t count = std::min(batch_rows_, rows_.size() - next_);
    if (count == 0) {
      batch_.reset();
      return BatchPtr();
    }
    const size_t begin = next_;
    next_ += count;
    return TakeRows(batch_, rows_.data() + begin, count);
  }

 private:
  BatchPtr batch_;
  std::vector<uint32_t> rows_;
  size_t batch_rows_;
  size_t next_ = 0;
};

class FileSource final : public BatchSource {
 public:
  explicit FileSource(std::shared_ptr<arrow::RecordBatchReader> reader) : reader_(std::move(reader)) {}

  Result<BatchPtr> Next() override {
    BatchPtr batch;
    arrow::Status status = reader_->ReadNext(&batch);
    if (!status.ok()) return FromArrowStatus(status).With("sort file");
    return batch;
  }

 private:
  std::shared_ptr<arrow::RecordBatchReader> reader_;
};

// A descriptor of a new file in `folder`, already without a name.
Result<int> OpenUnnamed(const std::string& folder) {
  std::string path = folder + "/sort-XXXXXX";
  const int fd = ::mkostemp(path.data(), O_CLOEXEC);
  if (fd < 0) return FromErrno(errno, fmt::format("cannot make a sort file in '{}'", folder));
  ::unlink(path.c_str());
  return fd;
}

// Takes over `fd` on success.
arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> WriteAndReopen(
    int fd, int copy, const std::shared_ptr<arrow::Schema>& schema, BatchSource& source,
    Status* source_status) {
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  if (arrow::util::Codec::IsAvailable(arrow::Compression::LZ4_FRAME)) {
    ARROW_ASSIGN_OR_RAISE(options.codec, arrow::util::Codec::Create(arrow::Compression::LZ4_FRAME));
  }
  options.use_threads = false;
  ARROW_ASSIGN_OR_RAISE(auto input, arrow::io::ReadableFile::Open(copy));
  ARROW_ASSIGN_OR_RAISE(auto output, arrow::io::FileOutputStream::Open(fd));
  ARROW_ASSIGN_OR_RAISE(auto writer, arrow::ipc::MakeStreamWriter(output, schema, options));
  while (true) {
    auto batch = source.Next();
    if (!batch.ok()) {
      *source_status = std::move(batch).error();
      return arrow::Status::Cancelled("no more rows");
    }
    if (*batch == nullptr) break;
    ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(**batch));
  }
  ARROW_RETURN_NOT_OK(writer->Close());
  ARROW_RETURN_NOT_OK(output->Close());
  ARROW_RETURN_NOT_OK(input->Seek(0));
  auto read_options = arrow::ipc::IpcReadOptions::Defaults();
  read_options.use_threads = false;
  return arrow::ipc::RecordBatchStreamReader::Open(input, read_options);
}

}  // namespace

std::unique_ptr<BatchSource> MakeListSource(std::vector<BatchPtr> batches) {
  return std::make_unique<ListSource>(std::move(batches));
}

std::unique_ptr<BatchSource> MakeOrderedSource(BatchPtr batch, std::vector<uint32_t> rows,
                                               int64_t batch_rows) {
  return std::make_unique<OrderedSource>(std::move(batch), std::move(rows), batch_rows);
}

Result<std::unique_ptr<BatchSource>> SpillRun(const std::string& folder,
                                              const std::shared_ptr<arrow::Schema>& schema,
                                              BatchSource& source) {
  ASSIGN_OR_RETURN(const int fd, OpenUnnamed(folder));
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) {
    const int error = errno;
    ::close(fd);
    return FromErrno(error, fmt::format("cannot read a sort file in '{}' again", folder));
  }
  Status source_status;
  auto reader = WriteAndReopen(fd, copy, schema, source, &source_status);
  RETURN_IF_ERROR(std::move(source_status));
  if (!reader.ok()) return FromArrowStatus(reader.status()).With(fmt::format("sort file in '{}'", folder));
  return std::make_unique<FileSource>(std::move(reader).ValueUnsafe());
}

}  // namespace sluice::columnar

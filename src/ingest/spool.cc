#include "ingest/spool.h"

#include <arrow/buffer.h>
#include <arrow/io/file.h>
#include <arrow/ipc/options.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/util/byte_size.h>
#include <arrow/util/compression.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/random.h"
#include "columnar/arrow_status.h"

namespace sluice::ingest {

struct Spool::Impl {
  std::shared_ptr<arrow::Schema> schema;
  std::string folder;
  int64_t memory_bytes;
  int64_t held_bytes = 0;
  std::vector<std::shared_ptr<arrow::RecordBatch>> held;
  int fd = -1;
  std::shared_ptr<arrow::io::FileOutputStream> output;
  std::shared_ptr<arrow::ipc::RecordBatchWriter> writer;

  Status StartFile() {
    std::string path = folder + "/spool-" + RandomName(16);
    ASSIGN_OR_RETURN_ARROW(output, arrow::io::FileOutputStream::Open(path));
    ASSIGN_OR_RETURN_ARROW(auto again, arrow::io::ReadableFile::Open(path));
    fd = dup(again->file_descriptor());
    if (unlink(path.c_str()) != 0 || fd < 0)
      return FromErrno(errno, fmt::format("cannot use spool file '{}'", path));
    auto options = arrow::ipc::IpcWriteOptions::Defaults();
    if (arrow::util::Codec::IsAvailable(arrow::Compression::LZ4_FRAME)) {
      ASSIGN_OR_RETURN_ARROW(options.codec, arrow::util::Codec::Create(arrow::Compression::LZ4_FRAME));
    }
    ASSIGN_OR_RETURN_ARROW(writer, arrow::ipc::MakeFileWriter(output, schema, options));
    return {};
  }
};

Spool::Spool(std::shared_ptr<arrow::Schema> schema, std::string folder, int64_t memory_bytes)
    : impl_(std::make_unique<Impl>()) {
  impl_->schema = std::move(schema);
  impl_->folder = std::move(folder);
  impl_->memory_bytes = memory_bytes;
}

Spool::~Spool() {
  if (impl_->fd >= 0) close(impl_->fd);
}

int64_t Spool::held_bytes() const { return impl_->held_bytes; }

Status Spool::Add(std::shared_ptr<arrow::RecordBatch> batch) {
  rows_ += batch->num_rows();
  const int64_t bytes = arrow::util::TotalBufferSize(*batch);
  if (!impl_->writer && impl_->held_bytes + bytes <= impl_->memory_bytes) {
    impl_->held_bytes += bytes;
    impl_->held.push_back(std::move(batch));
    return {};
  }
  if (!impl_->writer) RETURN_IF_ERROR(impl_->StartFile());
  RETURN_IF_ARROW_ERROR(impl_->writer->WriteRecordBatch(*batch));
  return {};
}

Status Spool::Replay(const std::function<Status(const std::shared_ptr<arrow::RecordBatch>&)>& visit) {
  for (const auto& batch : impl_->held) RETURN_IF_ERROR(visit(batch));
  if (!impl_->writer) return {};
  if (!impl_->output->closed()) {
    RETURN_IF_ARROW_ERROR(impl_->writer->Close());
    RETURN_IF_ARROW_ERROR(impl_->output->Close());
  }
  ASSIGN_OR_RETURN_ARROW(auto input, arrow::io::ReadableFile::Open(dup(impl_->fd)));
  ASSIGN_OR_RETURN_ARROW(auto reader, arrow::ipc::RecordBatchFileReader::Open(input));
  for (int i = 0; i < reader->num_record_batches(); ++i) {
    ASSIGN_OR_RETURN_ARROW(auto batch, reader->ReadRecordBatch(i));
    RETURN_IF_ERROR(visit(batch));
  }
  return {};
}

}  // namespace sluice::ingest

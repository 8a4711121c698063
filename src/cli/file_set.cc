#include "cli/file_set.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

namespace sluice::cli {

Status FileSet::Start(const std::shared_ptr<arrow::Schema>& schema) {
  schema_ = schema ? schema : arrow::schema(arrow::FieldVector());
  return Open();
}

Status FileSet::Write(const arrow::RecordBatch& batch) {
  const int64_t limit = options_.records_per_file;
  int64_t done = 0;
  while (done < batch.num_rows()) {
    if (limit > 0 && in_file_ == limit) {
      RETURN_IF_ERROR(Close());
      RETURN_IF_ERROR(Open());
    }
    const int64_t rest = batch.num_rows() - done;
    const int64_t n = limit > 0 ? std::min(rest, limit - in_file_) : rest;
    RETURN_IF_ERROR(writer_->Write(*batch.Slice(done, n)));
    done += n;
    in_file_ += n;
    rows_ += n;
  }
  return {};
}

Status FileSet::Close() {
  RETURN_IF_ERROR(writer_->Finish());
  file_.close();
  if (!file_) return FromErrno(errno, fmt::format("cannot write '{}'", name_));
  return {};
}

Status FileSet::Open() {
  in_file_ = 0;
  name_ = options_.path;
  if (options_.folder) {
    std::error_code error;
    std::filesystem::create_directories(options_.path, error);
    if (error) return FromErrno(error.value(), fmt::format("cannot make folder '{}'", options_.path));
    name_ = fmt::format("{}/part-{:05}.{}", options_.path, files_++, columnar::NameOf(options_.format));
  }
  file_.open(name_, std::ios::binary | std::ios::trunc);
  if (!file_) return FromErrno(errno, fmt::format("cannot write '{}'", name_));
  ASSIGN_OR_RETURN(
      writer_, columnar::RowWriter::Make(options_.format, schema_, [this](std::string_view text) -> Status {
        file_.write(text.data(), static_cast<std::streamsize>(text.size()));
        if (!file_) return FromErrno(errno, fmt::format("cannot write '{}'", name_));
        return {};
      }));
  return {};
}

}  // namespace sluice::cli

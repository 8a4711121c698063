#include <arrow/record_batch.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

#include "connectors/file/file_internal.h"
#include "connectors/file/torn_record.h"
#include "pipeline/record.h"
#include "storage/disk.h"

namespace sluice::connectors {
namespace {

using storage::Disk;
using storage::File;

class FileWriter final : public pipeline::IngestionWriter {
 public:
  FileWriter(std::string path, bool is_pretty, bool is_synced, pipeline::Environment& environment)
      : path_(std::move(path)), is_pretty_(is_pretty), is_synced_(is_synced), environment_(environment) {}

  Status Open(std::stop_token) override {
    const std::string folder = storage::ParentPath(path_);
    RETURN_IF_ERROR(storage::MakeFolders(Disk::Real(), folder));
    RETURN_IF_ERROR(OpenFile());
    return storage::SyncFolder(Disk::Real(), folder);
  }

  Result<pipeline::Outcomes> Write(const pipeline::Batch& batch, std::stop_token) override {
    if (batch.rows() == 0) return pipeline::Outcomes();
    if (!file_ || !IsAtItsPath()) RETURN_IF_ERROR(Open({}));
    std::string text;
    for (int64_t row = 0; row < batch.rows(); ++row) {
      pipeline::AppendRecord(*batch.records, row, {.write_empty = true, .pretty = is_pretty_}, &text);
      text += '\n';
    }
    Status status = Append(text);
    if (!status.ok()) {
      file_.reset();  // a failed sync is final for a descriptor
      const auto code = status.error().code() == ErrorCode::kResourceExhausted ? ErrorCode::kResourceExhausted
                                                                               : ErrorCode::kUnavailable;
      return Error(code, status.error().ToString());
    }
    return pipeline::Outcomes(static_cast<size_t>(batch.rows()));
  }

  Status Close() override {
    file_.reset();
    return {};
  }

 private:
  Status OpenFile() {
    ASSIGN_OR_RETURN(file_, File::Open(Disk::Real(), path_, O_RDWR | O_CREAT));
    struct stat info = {};
    if (::fstat(file_->fd(), &info) == 0 && !S_ISREG(info.st_mode)) {
      file_.reset();
      return InvalidArgument("'{}' is no plain file", path_);
    }
    return {};
  }

  // Not when it was moved or removed since: what is written to it then is nowhere that anybody looks.
  bool IsAtItsPath() const {
    struct stat ours = {};
    struct stat there = {};
    return ::fstat(file_->fd(), &ours) == 0 && ::stat(path_.c_str(), &there) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
  }

  // At the end that the file has now: others may write to it too, a replay to the dead letters of a running
  // pipeline say, each its batch as a whole.
  Status Append(const std::string& text) {
    if (::flock(file_->fd(), LOCK_EX) != 0) return FromErrno(errno, "cannot lock the file");
    const Status status = AppendLocked(text);
    ::flock(file_->fd(), LOCK_UN);
    return status;
  }
  // What a crash left of a record goes: nobody was told that it is written, so it comes again, whole.
  Status AppendLocked(const std::string& text) {
    ASSIGN_OR_RETURN(const uint64_t size, file_->Size());
    ASSIGN_OR_RETURN(const uint64_t end, EndOfWholeRecords(*file_, size, is_pretty_));
    if (end < size) {
      RETURN_IF_ERROR(file_->Truncate(end));
      environment_.Note(
          fmt::format("'{}' ended in the middle of a record, as after a crash: these {} bytes were removed",
                      path_, size - end));
    }
    Status status = AppendAt(end, text);
    // What was written of it goes, so that no half record stays in front of the repeat.
    if (!status.ok()) static_cast<void>(file_->Truncate(end));
    return status;
  }
  Status AppendAt(uint64_t end, const std::string& text) {
    if (end > 0) {
      ASSIGN_OR_RETURN(const std::string last, file_->ReadSome(end - 1, 1));
      if (last != "\n") {
        RETURN_IF_ERROR(file_->WriteAll("\n", end));
        ++end;
      }
    }
    RETURN_IF_ERROR(file_->WriteAll(text, end));
    return is_synced_ ? file_->SyncData() : OkStatus();
  }

  const std::string path_;
  const bool is_pretty_;
  const bool is_synced_;
  pipeline::Environment& environment_;
  std::unique_ptr<File> file_;
};

}  // namespace

Result<std::unique_ptr<pipeline::IngestionWriter>> MakeFileWriter(const pipeline::Settings& settings,
                                                                  pipeline::Environment& environment) {
  return std::unique_ptr<pipeline::IngestionWriter>(std::make_unique<FileWriter>(
      environment.Resolve(settings.text("path")), settings.text("format") == "pretty",
      settings.boolean("sync"), environment));
}

}  // namespace sluice::connectors

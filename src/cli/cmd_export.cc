#include <arrow/record_batch.h>

#include <filesystem>
#include <fstream>

#include "cli/commands.h"
#include "cli/usage.h"
#include "workspace/query.h"

namespace sluice::cli {
namespace {

struct ExportArgs {
  std::string dataset;
  std::string format = "csv";
  std::string path;
  int64_t records_per_file = 0;
};

// A row writer into files: one, or `part-00000.csv`, ... in a folder.
class FileSet {
 public:
  FileSet(columnar::OutputFormat format, std::string path, int64_t limit)
      : format_(format), path_(std::move(path)), limit_(limit) {}

  Status Start(const std::shared_ptr<arrow::Schema>& schema) {
    schema_ = schema ? schema : arrow::schema(arrow::FieldVector());
    return Open();
  }
  Status Write(const arrow::RecordBatch& batch) {
    int64_t done = 0;
    while (done < batch.num_rows()) {
      if (limit_ > 0 && in_file_ == limit_) {
        RETURN_IF_ERROR(Close());
        RETURN_IF_ERROR(Open());
      }
      const int64_t n =
          limit_ > 0 ? std::min(batch.num_rows() - done, limit_ - in_file_) : batch.num_rows() - done;
      RETURN_IF_ERROR(writer_->Write(*batch.Slice(done, n)));
      done += n;
      in_file_ += n;
      rows_ += n;
    }
    return {};
  }
  Status Close() {
    RETURN_IF_ERROR(writer_->Finish());
    file_.close();
    if (!file_) return MakeError(ErrorCode::kUnavailable, "cannot write '{}'", name_);
    return {};
  }
  int64_t rows() const { return rows_; }

 private:
  Status Open() {
    in_file_ = 0;
    name_ = path_;
    if (limit_ > 0) {
      std::error_code error;
      std::filesystem::create_directories(path_, error);
      if (error) return FromErrno(error.value(), fmt::format("cannot make folder '{}'", path_));
      name_ = fmt::format("{}/part-{:05}.{}", path_, files_++, columnar::NameOf(format_));
    }
    file_.open(name_, std::ios::binary | std::ios::trunc);
    if (!file_) return MakeError(ErrorCode::kUnavailable, "cannot write '{}'", name_);
    auto writer = columnar::RowWriter::Make(format_, schema_, [this](std::string_view text) -> Status {
      file_.write(text.data(), static_cast<std::streamsize>(text.size()));
      if (!file_) return MakeError(ErrorCode::kResourceExhausted, "cannot write '{}'", name_);
      return {};
    });
    if (!writer.ok()) return std::move(writer).error();
    writer_ = std::move(*writer);
    return {};
  }

  columnar::OutputFormat format_;
  std::string path_, name_;
  int64_t limit_, in_file_ = 0, rows_ = 0;
  int files_ = 0;
  std::shared_ptr<arrow::Schema> schema_;
  std::ofstream file_;
  std::unique_ptr<columnar::RowWriter> writer_;
};

Status Export(Session& session, const ExportArgs& args) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  ASSIGN_OR_RETURN(auto entry, workspace->Resolve(args.dataset));
  ASSIGN_OR_RETURN(auto dataset, workspace->Open(entry));
  ASSIGN_OR_RETURN(auto format, columnar::ParseOutputFormat(args.format));
  std::string path = args.path;
  if (path.empty()) {
    path = entry.alias.substr(entry.alias.find('/') + 1);
    if (args.records_per_file == 0) path += "." + args.format;
  }
  FileSet files(format, path, args.records_per_file);
  if (!dataset->state().last_offset()) {
    ASSIGN_OR_RETURN(auto schema, workspace::ArrowSchemaOf(*dataset));
    RETURN_IF_ERROR(files.Start(schema));
  } else {
    RETURN_IF_ERROR(workspace::ReadRows(
        *dataset, 0, *dataset->state().last_offset(), [&](const auto& schema) { return files.Start(schema); },
        [&](const arrow::RecordBatch& rows) -> Status {
          if (session.stop().stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
          return files.Write(rows);
        }));
  }
  RETURN_IF_ERROR(files.Close());
  session.Say("Exported {} rows to {}", files.rows(), path);
  return {};
}

}  // namespace

void AddExport(Commands& commands) {
  auto args = std::make_shared<ExportArgs>();
  auto* command = commands.Add("export", "Write a dataset's rows to files",
                               "sluice export river.gauges --output-format parquet",
                               [args](Session& session) { return Export(session, *args); });
  command->add_option("dataset", args->dataset, "The dataset")->required();
  command->add_option("--output-format", args->format, "csv (default), json, ndjson or parquet")
      ->check(CLI::IsMember({"csv", "json", "ndjson", "parquet"}));
  command->add_option("--output-path", args->path,
                      "File, or folder with --records-per-file; default: the dataset's name");
  command->add_option("--records-per-file", args->records_per_file, "Several files in a folder")
      ->check(CLI::NonNegativeNumber);
}

}  // namespace sluice::cli

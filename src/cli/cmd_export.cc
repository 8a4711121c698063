#include <arrow/record_batch.h>

#include "cli/commands.h"
#include "cli/file_set.h"
#include "workspace/query.h"

namespace sluice::cli {
namespace {

struct ExportArgs {
  std::string dataset;
  std::string format;  // empty: by the ending of the path, else csv
  std::string path;
  int64_t records_per_file = 0;
};

std::string FormatName(const ExportArgs& args) {
  if (!args.format.empty()) return args.format;
  for (const char* name : {"json", "ndjson", "parquet"}) {
    if (args.path.ends_with(std::string(".") + name)) return name;
  }
  return "csv";
}

Status Export(Session& session, const ExportArgs& args) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  ASSIGN_OR_RETURN(auto entry, workspace->Resolve(args.dataset));
  ASSIGN_OR_RETURN(const auto hold, workspace->HoldFiles(entry.id));
  ASSIGN_OR_RETURN(auto dataset, workspace->Open(entry));
  const std::string name = FormatName(args);
  ASSIGN_OR_RETURN(auto format, columnar::ParseOutputFormat(name));
  std::string path = args.path;
  if (path.empty()) {
    path = entry.alias.substr(entry.alias.find('/') + 1);
    if (args.records_per_file == 0) path += "." + name;
  }
  FileSet files({format, path, args.records_per_file > 0, args.records_per_file});
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
  command
      ->add_option("--output-format", args->format,
                   "csv, json, ndjson or parquet; default: the path's ending, else csv")
      ->check(CLI::IsMember({"csv", "json", "ndjson", "parquet"}));
  command->add_option("--output-path", args->path,
                      "File, or folder with --records-per-file; default: the dataset's name");
  command->add_option("--records-per-file", args->records_per_file, "Several files in a folder")
      ->check(WholeNumber(0));
}

}  // namespace sluice::cli

#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/whole_file.h"
#include "cli/commands.h"
#include "cli/file_set.h"
#include "cli/remote_query.h"
#include "cli/standard_input.h"
#include "cli/usage.h"
#include "workspace/query.h"

namespace sluice::cli {
namespace {

struct TailOptions {
  std::string dataset;
  std::string format;
  uint64_t rows = 10;
  uint64_t skip = 0;
};

Status Tail(Session& session, const TailOptions& options) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  ASSIGN_OR_RETURN(auto format, session.FormatOrDefault(options.format));
  ASSIGN_OR_RETURN(auto entry, workspace->Resolve(options.dataset));
  ASSIGN_OR_RETURN(const auto hold, workspace->HoldFiles(entry.id));
  ASSIGN_OR_RETURN(auto dataset, workspace->Open(entry));

  const uint64_t count = dataset->state().last_offset() ? *dataset->state().last_offset() + 1 : 0;
  const uint64_t end = count > options.skip ? count - options.skip : 0;  // exclusive
  const uint64_t first = end > options.rows ? end - options.rows : 0;
  std::unique_ptr<columnar::RowWriter> writer;
  columnar::FormatOptions format_options;
  format_options.op_column = dataset->state().vocabulary.op;
  auto start = [&](const std::shared_ptr<arrow::Schema>& schema) -> Status {
    auto shown = schema ? schema : arrow::schema(arrow::FieldVector());
    ASSIGN_OR_RETURN(
        writer, columnar::RowWriter::Make(
                    format, shown, [&](std::string_view text) { return session.Out(text); }, format_options));
    return {};
  };
  if (end == 0 || options.rows == 0) {
    ASSIGN_OR_RETURN(auto schema, workspace::ArrowSchemaOf(*dataset));
    RETURN_IF_ERROR(start(schema));
  } else {
    RETURN_IF_ERROR(workspace::ReadRows(*dataset, first, end - 1, start,
                                        [&](const arrow::RecordBatch& rows) { return writer->Write(rows); }));
  }
  return writer->Finish();
}

struct SqlOptions {
  std::string command;
  std::string script;
  std::string format;
  std::string output_path;
  std::string engine, url, token;
  int64_t records_per_file = 0;
  std::optional<int64_t> memory_mib;
  int64_t timeout_seconds = 0;
};

constexpr int64_t kMemoryMib = 1024;

Result<std::string> Statement(const SqlOptions& options) {
  if (!options.command.empty() && !options.script.empty()) return UsageError("give -c or --script, not both");
  if (!options.command.empty()) return options.command;
  if (!options.script.empty()) {
    auto script = ReadWholeFile(options.script);
    if (!script.ok()) return UsageError("{}", script.error().ToString());
    return script;
  }
  if (isatty(STDIN_FILENO) == 1)
    return UsageError("give the query with -c 'select ...', --script FILE, or on standard input");
  return ReadStandardInput();
}

Status Drain(sql::QueryResult& result, const workspace::BatchVisitor& visit) {
  while (true) {
    ASSIGN_OR_RETURN(auto batch, result.Next());
    if (!batch) return {};
    RETURN_IF_ERROR(visit(*batch));
  }
}

// A path with an ending is a file, and the ending its default format; one without is a folder of parts.
Result<FileSet::Options> TargetOf(const SqlOptions& options) {
  const std::string ending = std::filesystem::path(options.output_path).extension().string();
  const std::string format = !options.format.empty() ? options.format
                             : ending.empty()        ? "csv"
                                                     : ending.substr(1);
  FileSet::Options target;
  auto parsed = columnar::ParseOutputFormat(format);
  if (!parsed.ok()) return std::move(parsed).error().With("usage");
  target.format = *parsed;
  target.path = options.output_path;
  target.records_per_file = options.records_per_file;
  target.folder = ending.empty() || options.records_per_file > 0;
  return target;
}

Status ToFiles(Session& session, const SqlOptions& options, sql::QueryResult& result) {
  ASSIGN_OR_RETURN(auto target, TargetOf(options));
  FileSet files(std::move(target));
  RETURN_IF_ERROR(files.Start(result.schema()));
  RETURN_IF_ERROR(Drain(result, [&](const arrow::RecordBatch& rows) { return files.Write(rows); }));
  RETURN_IF_ERROR(files.Close());
  session.Say("Exported {} rows", files.rows());
  return {};
}

Status RefuseParquetOnTerminal(const Session& session, columnar::OutputFormat format) {
  if (format != columnar::OutputFormat::kParquet || !session.stdout_is_terminal()) return {};
  return UsageError("parquet is not for a terminal: give --output-path FILE");
}

Status SqlHere(Session& session, const SqlOptions& options, const std::string& statement,
               columnar::OutputFormat format) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  workspace::QueryOptions query_options;
  query_options.dialect = options.engine;
  query_options.stop = session.stop();
  query_options.limits.memory_bytes = options.memory_mib.value_or(kMemoryMib) << 20;
  query_options.limits.time_ms = options.timeout_seconds * 1000;
  // Where nothing can be written a query has to do without spills.
  const auto scratch = workspace->MakeScratch();
  if (scratch.ok()) query_options.limits.spill_folder = (*scratch)->folder();
  ASSIGN_OR_RETURN(auto query, workspace::RunQuery(*workspace, statement, query_options));

  if (!options.output_path.empty()) return ToFiles(session, options, *query.result);
  RETURN_IF_ERROR(RefuseParquetOnTerminal(session, format));
  ASSIGN_OR_RETURN(auto writer,
                   columnar::RowWriter::Make(format, query.result->schema(),
                                             [&](std::string_view text) { return session.Out(text); }));
  RETURN_IF_ERROR(Drain(*query.result, [&](const arrow::RecordBatch& rows) { return writer->Write(rows); }));
  return writer->Finish();
}

// The rows of a node's answer as one file, which is not left behind half-written.
Status NodeToFile(Session& session, const SqlOptions& options, RemoteQuery query) {
  ASSIGN_OR_RETURN(const auto target, TargetOf(options));
  if (target.folder)
    return UsageError("with --url, --output-path is a file with an ending, such as rows.parquet");
  query.format = target.format;
  std::ofstream file;
  auto status = QueryNode(session, query, [&](std::string_view bytes) -> Status {
    if (!file.is_open()) file.open(target.path, std::ios::binary | std::ios::trunc);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!file) return FromErrno(errno, fmt::format("cannot write '{}'", target.path));
    return {};
  });
  const bool is_begun = file.is_open();
  if (status.ok() && !is_begun) file.open(target.path, std::ios::binary | std::ios::trunc);  // no bytes
  file.close();
  if (status.ok() && !file) status = FromErrno(errno, fmt::format("cannot write '{}'", target.path));
  std::error_code ignored;
  if (!status.ok() && is_begun) std::filesystem::remove(target.path, ignored);
  RETURN_IF_ERROR(status);
  session.Say("Exported to {}", target.path);
  return {};
}

Status SqlAtNode(Session& session, const SqlOptions& options, const std::string& statement,
                 columnar::OutputFormat format) {
  if (options.memory_mib)
    return UsageError(
        "--memory-limit-mib is not for --url: the node's 'limits.queryMemory' bounds its queries");
  if (options.records_per_file > 0)
    return UsageError("--records-per-file is not for --url: write one file, or query the node's workspace");
  RemoteQuery query;
  query.node = {options.url, options.token, ""};
  query.statement = statement;
  query.engine = options.engine;
  query.format = format;
  query.timeout = std::chrono::seconds(options.timeout_seconds);
  if (!options.output_path.empty()) return NodeToFile(session, options, std::move(query));
  RETURN_IF_ERROR(RefuseParquetOnTerminal(session, format));
  return QueryNode(session, query, [&](std::string_view text) { return session.Out(text); });
}

Status Sql(Session& session, const SqlOptions& options) {
  ASSIGN_OR_RETURN(auto statement, Statement(options));
  auto format = session.FormatOrDefault(options.format);
  if (!format.ok()) return std::move(format).error();
  if (options.records_per_file > 0 && options.output_path.empty())
    return UsageError("--records-per-file needs --output-path FOLDER");
  if (!options.url.empty()) return SqlAtNode(session, options, statement, *format);
  return SqlHere(session, options, statement, *format);
}

}  // namespace

void AddTail(Commands& commands) {
  auto options = std::make_shared<TailOptions>();
  auto* command = commands.Add("tail", "Show the newest rows of a dataset", "sluice tail readings -n 20",
                               [options](Session& session) { return Tail(session, *options); });
  command->add_option("dataset", options->dataset, "The dataset")->required();
  command->add_option("-o,--output-format", options->format,
                      "table, csv, json, ndjson, json-soa, json-aoa, parquet");
  command->add_option("-n,--num-records", options->rows, "How many rows (default 10)")->check(WholeNumber(0));
  command->add_option("-s,--skip-records", options->skip, "Leave out that many at the end (default 0)")
      ->check(WholeNumber(0));
}

void AddSql(Commands& commands) {
  auto options = std::make_shared<SqlOptions>();
  auto* command = commands.Add("sql", "Query datasets; their names are the tables",
                               "sluice sql -c 'select op, count(*) from \"readings\" group by op'",
                               [options](Session& session) { return Sql(session, *options); });
  command->add_option("-c,--command", options->command, "The query: one SELECT");
  command->add_option("--script", options->script, "A file with the query");
  command->add_option("-o,--output-format", options->format,
                      "table, csv, json, ndjson, json-soa, json-aoa, parquet");
  command->add_option("--output-path", options->output_path,
                      "Write to this file (its ending is the default format), or to a folder");
  command->add_option("--records-per-file", options->records_per_file, "Several files in the folder")
      ->check(WholeNumber(0));
  command
      ->add_option("--engine", options->engine,
                   "Dialect of the query: duckdb (default), or one of manifests: datafusion, spark, flink")
      ->check(CLI::IsMember({"duckdb", "datafusion", "spark", "flink"}));
  command->add_option("--url", options->url, "Ask the node at this URL instead of the workspace");
  command->add_option("--token", options->token, "With --url: access token (default: SLUICE_TOKEN)")
      ->envname("SLUICE_TOKEN");
  command->add_option("--memory-limit-mib", options->memory_mib, "Memory the query may use (default 1024)")
      ->check(CLI::Range(int64_t{16}, int64_t{1} << 20));
  command->add_option("--timeout", options->timeout_seconds, "Seconds the query may take (default: no limit)")
      ->check(WholeNumber(0));
}

}  // namespace sluice::cli

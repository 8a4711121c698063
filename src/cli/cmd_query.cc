#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iostream>
#include <iterator>

#include "cli/commands.h"
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
  int64_t memory_mib = 1024;
  int64_t timeout_seconds = 0;
};

Result<std::string> Statement(const SqlOptions& options) {
  if (!options.command.empty() && !options.script.empty()) return UsageError("give -c or --script, not both");
  if (!options.command.empty()) return options.command;
  if (!options.script.empty()) {
    std::ifstream file(options.script);
    if (!file) return UsageError("cannot read script '{}'", options.script);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  if (isatty(STDIN_FILENO) == 1)
    return UsageError("give the query with -c 'select ...', --script FILE, or on standard input");
  return std::string(std::istreambuf_iterator<char>(std::cin), {});
}

Status Sql(Session& session, const SqlOptions& options) {
  ASSIGN_OR_RETURN(auto statement, Statement(options));
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  auto format = session.FormatOrDefault(options.format);
  if (!format.ok()) return std::move(format).error();
  sql::Limits limits;
  limits.memory_bytes = options.memory_mib << 20;
  limits.time_ms = options.timeout_seconds * 1000;
  limits.spill_folder = workspace->temp_folder();
  ASSIGN_OR_RETURN(auto query, workspace::RunQuery(*workspace, statement, limits, session.stop()));

  std::ofstream file;
  columnar::Sink sink = [&](std::string_view text) { return session.Out(text); };
  if (!options.output_path.empty()) {
    if (options.format.empty()) {
      const auto dot = options.output_path.rfind('.');
      ASSIGN_OR_RETURN(format, columnar::ParseOutputFormat(
                                   dot == std::string::npos ? "csv" : options.output_path.substr(dot + 1)));
    }
    file.open(options.output_path, std::ios::binary | std::ios::trunc);
    if (!file) return FromErrno(errno, fmt::format("cannot write '{}'", options.output_path));
    sink = [&](std::string_view text) -> Status {
      file.write(text.data(), static_cast<std::streamsize>(text.size()));
      if (!file) return MakeError(ErrorCode::kUnavailable, "cannot write '{}'", options.output_path);
      return {};
    };
  } else if (*format == columnar::OutputFormat::kParquet && session.stdout_is_terminal()) {
    return UsageError("parquet is not for a terminal: give --output-path FILE");
  }
  ASSIGN_OR_RETURN(auto writer, columnar::RowWriter::Make(*format, query.result->schema(), sink));
  int64_t rows = 0;
  while (true) {
    ASSIGN_OR_RETURN(auto batch, query.result->Next());
    if (!batch) break;
    rows += batch->num_rows();
    RETURN_IF_ERROR(writer->Write(*batch));
  }
  RETURN_IF_ERROR(writer->Finish());
  if (!options.output_path.empty()) {
    file.close();
    if (!file) return FromErrno(errno, fmt::format("cannot write '{}'", options.output_path));
    session.Say("Exported {} rows", rows);
  }
  return {};
}

}  // namespace

void AddTail(Commands& commands) {
  auto options = std::make_shared<TailOptions>();
  auto* command = commands.Add("tail", "Show the newest rows of a dataset", "sluice tail readings -n 20",
                               [options](Session& session) { return Tail(session, *options); });
  command->add_option("dataset", options->dataset, "The dataset")->required();
  command->add_option("-o,--output-format", options->format,
                      "table, csv, json, ndjson, json-soa, json-aoa, parquet");
  command->add_option("-n,--num-records", options->rows, "How many rows (default 10)");
  command->add_option("-s,--skip-records", options->skip, "Leave out that many at the end (default 0)");
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
                      "Write to this file; its ending is the default format");
  command->add_option("--memory-limit-mib", options->memory_mib, "Memory the query may use (default 1024)")
      ->check(CLI::Range(int64_t{16}, int64_t{1} << 20));
  command->add_option("--timeout", options->timeout_seconds, "Seconds the query may take (default: no limit)")
      ->check(CLI::NonNegativeNumber);
}

}  // namespace sluice::cli

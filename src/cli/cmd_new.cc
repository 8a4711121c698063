#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>

#include "cli/commands.h"
#include "cli/usage.h"
#include "net/http_client.h"
#include "pipeline/describe.h"
#include "pipeline/registry.h"
#include "read/local_input.h"
#include "read/sniff.h"

namespace sluice::cli {
namespace {

namespace fs = std::filesystem;

constexpr char kRootTemplate[] = R"(kind: DatasetSnapshot
version: 1
content:
  name: {}
  kind: Root
  metadata:
    - kind: AddPushSource
      sourceName: default
      read:
        # Csv, Json, NdJson, GeoJson, NdGeoJson, EsriShapefile or Parquet
        kind: Csv
        header: true
        schema:
          fields:
            - name: event_time
              type: Timestamp
            - name: name
              type: String
            - name: value
              type:
                kind: Option
                inner: Float64
      # Optional: reshape with SQL
      # preprocess:
      #   kind: Sql
      #   engine: datafusion
      #   query: select event_time, name, value from input where value > 0
      merge:
        # Append keeps everything; Ledger takes each key once; Snapshot records the differences between states;
        # ChangelogStream and UpsertStream take changes
        kind: Ledger
        primaryKey:
          - event_time
          - name
    - kind: SetInfo
      description: What these records are
      keywords: []
)";

constexpr char kDerivativeTemplate[] = R"(kind: DatasetSnapshot
version: 1
content:
  name: {}
  kind: Derivative
  metadata:
    - kind: SetTransform
      inputs:
        - datasetRef: name.of.input
          alias: input
      transform:
        kind: Sql
        engine: datafusion
        query: select * from input
)";

struct NewOptions {
  std::string name;
  std::string from;
  bool root = false, derivative = false, push = false;
};

bool IsUrl(std::string_view from) { return from.starts_with("http://") || from.starts_with("https://"); }

// `file:///...` with what is not plain in a path escaped.
std::string FileUrl(const std::string& path) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string url = "file://";
  for (const char c : fs::absolute(path).lexically_normal().string()) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || std::string_view("/-._~,+@").find(c) != std::string_view::npos) {
      url += c;
    } else {
      url += '%';
      url += kHex[byte >> 4];
      url += kHex[byte & 15];
    }
  }
  return url;
}

// The last part of a path or URL without query and endings, as the name of a dataset.
std::string NameOf(std::string_view from) {
  from = from.substr(0, from.find_first_of("?#"));
  while (from.ends_with('/')) from.remove_suffix(1);
  from = from.substr(from.rfind('/') + 1);
  std::string name;
  for (const char c : from.substr(0, from.find('.'))) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  while (name.ends_with('-')) name.pop_back();
  return name.empty() ? "data" : name;
}

// The beginning of what a URL gives, on disk.
Result<std::unique_ptr<read::SpillFile>> Download(Session& session, const std::string& url, uint64_t most) {
  ASSIGN_OR_RETURN(auto file, read::SpillFile::Make(""));
  ASSIGN_OR_RETURN(auto client, net::HttpClient::Make());
  uint64_t bytes = 0;
  bool enough = false;
  net::HttpCall call;
  call.url = url;
  call.max_redirects = 10;
  call.sink = [&](std::string_view piece) -> Status {
    RETURN_IF_ERROR(file->Write(piece.data(), piece.size()));
    bytes += piece.size();
    enough = bytes >= most;
    if (enough) return Error(ErrorCode::kCancelled, "that is enough to go by");
    return {};
  };
  auto answer = client->Send(call, session.stop());
  if (!enough) {
    if (!answer.ok()) return std::move(answer).error();
    RETURN_IF_ERROR(net::CheckAnswer(*answer));
  }
  return file;
}

Result<std::string> DraftFrom(Session& session, const NewOptions& options, const std::string& name) {
  read::SniffOptions sniff;
  sniff.name = options.from;
  sniff.stop = session.stop();
  std::string path = options.from;
  std::unique_ptr<read::SpillFile> downloaded;
  if (IsUrl(options.from)) {
    ASSIGN_OR_RETURN(downloaded, Download(session, options.from, sniff.max_bytes));
    path = downloaded->path();
  }
  ASSIGN_OR_RETURN(const read::Sniffed sniffed, read::SniffFile(path, sniff));
  read::DraftOptions draft;
  draft.dataset = name;
  draft.origin = options.from;
  if (!options.push) draft.url = IsUrl(options.from) ? options.from : FileUrl(options.from);
  return read::DraftManifest(sniffed, draft);
}

Status New(Session& session, NewOptions options) {
  if (options.root && options.derivative) return UsageError("give --root or --derivative, not both");
  if (options.derivative && !options.from.empty())
    return UsageError("--from is for data that is ingested, not for --derivative");
  if (options.push && options.from.empty()) return UsageError("--push says how to take what --from names");
  if (options.name.empty() && options.from.empty()) return UsageError("give the dataset's name, or --from");
  if (options.name.empty()) options.name = NameOf(options.from);
  RETURN_IF_ERROR(workspace::CheckAlias(options.name));
  const std::string base = options.name.substr(options.name.find('/') + 1);
  const std::string path = base + ".yaml";
  if (fs::exists(path)) return MakeError(ErrorCode::kAlreadyExists, "file '{}' already exists", path);
  std::string text;
  if (options.from.empty()) {
    text = fmt::format(fmt::runtime(options.derivative ? kDerivativeTemplate : kRootTemplate), options.name);
  } else {
    ASSIGN_OR_RETURN(text, DraftFrom(session, options, options.name));
  }
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) return MakeError(ErrorCode::kUnavailable, "cannot write '{}'", path);
  session.Say("Written: {}\nEdit it, then run: sluice add {}", path, path);
  return {};
}

struct NewPipelineOptions {
  std::string name = "pipeline";
  std::string from, to;
};

Status NewPipeline(Session& session, const NewPipelineOptions& options) {
  const bool is_plain =
      !options.name.empty() && std::all_of(options.name.begin(), options.name.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '-' || c == '_';
      });
  if (!is_plain)
    return UsageError("'{}' is no name of a pipeline: letters, digits, '-' and '_'", options.name);
  ASSIGN_OR_RETURN(const auto text,
                   pipeline::DraftPipeline(session.registry(), options.name, options.from, options.to));
  const std::string path = options.name + ".yaml";
  if (fs::exists(path)) return MakeError(ErrorCode::kAlreadyExists, "file '{}' already exists", path);
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) return MakeError(ErrorCode::kUnavailable, "cannot write '{}'", path);
  session.Say("Written: {}\nEdit it, then run: sluice run {}", path, path);
  return {};
}

}  // namespace

void AddNew(Commands& commands) {
  auto options = std::make_shared<NewOptions>();
  auto pipeline = std::make_shared<NewPipelineOptions>();
  auto is_pipeline = std::make_shared<bool>(false);
  // The action of a command that has commands of its own is set after theirs.
  auto* command =
      commands.Add("new", "Write a manifest or a pipeline to start from", "sluice new --from cities.csv",
                   [options, pipeline, is_pipeline](Session& session) {
                     return *is_pipeline ? NewPipeline(session, *pipeline) : New(session, *options);
                   });
  command->add_option("name", options->name, "Name of the dataset (with --from: that of the file)");
  command->add_option("--from", options->from, "Look at this file or URL and propose what fits it");
  command->add_flag("--push", options->push, "With --from: for data that is ingested by command, not pulled");
  command->add_flag("--root", options->root, "For data that is ingested (default)");
  command->add_flag("--derivative", options->derivative, "For data computed from other datasets");

  auto* draft = commands.Add("pipeline", "Write a commented pipeline file that runs",
                             "sluice new pipeline feedback --from http --to postgres", nullptr, command);
  draft->parse_complete_callback([is_pipeline] { *is_pipeline = true; });
  draft->add_option("name", pipeline->name, "Name of the pipeline and of its file (default: pipeline)");
  draft->add_option("--from", pipeline->from, "Type of its ingestor: sluice connectors list")->required();
  draft->add_option("--to", pipeline->to, "Type of its writer")->required();
}

}  // namespace sluice::cli

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <filesystem>
#include <iterator>

#include "base/whole_file.h"
#include "cli/commands.h"
#include "cli/usage.h"
#include "ingest/source_rules.h"
#include "odf/arrow_schema.h"
#include "odf/yaml.h"
#include "poll/settings.h"
#include "poll/workspace_pull.h"
#include "read/projection.h"

namespace sluice::cli {
namespace {

struct PreviewArgs {
  std::string what, format;
  int64_t rows = 10;
};

struct Subject {
  std::string alias;
  odf::SetPollingSource source;
  odf::Vocabulary vocabulary;
  bool is_manifest = false;
};

Result<Subject> FromManifest(const std::string& path) {
  const auto text = ReadWholeFile(path);
  if (!text.ok()) return UsageError("{}", text.error().ToString());
  ASSIGN_OR_RETURN(auto manifests, odf::ParseManifests(*text, path));
  for (auto& manifest : manifests) {
    std::vector<odf::MetadataEvent> events;
    Subject subject{"preview", {}, {}, true};
    if (auto* snapshot = std::get_if<odf::DatasetSnapshot>(&manifest)) {
      subject.alias = snapshot->name;
      events = std::move(snapshot->metadata);
    } else if (auto* event = std::get_if<odf::MetadataEvent>(&manifest)) {
      events.push_back(std::move(*event));
    }
    RETURN_IF_ERROR(ingest::NormalizeEvents(&events));
    bool found = false;
    for (auto& event : events) {
      if (const auto* vocab = std::get_if<odf::SetVocab>(&event))
        subject.vocabulary = odf::Vocabulary::From(*vocab);
      if (auto* source = std::get_if<odf::SetPollingSource>(&event)) {
        RETURN_IF_ERROR(odf::CheckEvent(*source));
        subject.source = std::move(*source);
        found = true;
      }
    }
    if (found) return subject;
  }
  return InvalidArgument("there is no polling source in it").With(path);
}

Result<Subject> Find(workspace::Workspace& workspace, const std::string& what) {
  std::error_code error;
  const bool is_file = std::filesystem::is_regular_file(what, error);
  if (is_file || what.ends_with(".yaml") || what.ends_with(".yml")) return FromManifest(what);
  ASSIGN_OR_RETURN(const auto entry, workspace.Resolve(what));
  ASSIGN_OR_RETURN(const auto dataset, workspace.Open(entry));
  const auto& state = dataset->state();
  if (!state.polling_source) return NotFound("dataset '{}' has no polling source", entry.alias);
  return Subject{entry.alias, state.polling_source->event, state.vocabulary, false};
}

// A folder of this preview alone, gone at its end.
class TempFolder {
 public:
  explicit TempFolder(std::string path) : path_(std::move(path)) {}
  ~TempFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Result<std::unique_ptr<TempFolder>> MakeTempFolder() {
  std::error_code error;
  std::string path = (std::filesystem::temp_directory_path(error) / "sluice-preview-XXXXXX").string();
  if (error || mkdtemp(path.data()) == nullptr) return FromErrno(errno, "cannot make a temporary folder");
  return std::make_unique<TempFolder>(path);
}

Status Show(Session& session, const poll::Sample& sample, const PreviewArgs& args) {
  session.Say("Input: {}", sample.input);
  if (auto projection = read::DescribeProjection(sample.projection); !projection.empty())
    session.Say("Note: {}", projection);
  if (!sample.schema) {
    session.Say("The input is empty, and nothing declares its columns");
    return {};
  }
  ASSIGN_OR_RETURN(const auto schema, odf::FromArrow(*sample.schema));
  session.Say("Schema of what would be merged:");
  session.Say(odf::ToDdl(schema));
  ASSIGN_OR_RETURN(const auto format, session.FormatOrDefault(args.format));
  ASSIGN_OR_RETURN(auto writer, columnar::RowWriter::Make(format, sample.schema, [&](std::string_view text) {
                     return session.Out(text);
                   }));
  for (const auto& batch : sample.rows) RETURN_IF_ERROR(writer->Write(*batch));
  RETURN_IF_ERROR(writer->Finish());
  if (sample.rejects_count > 0) {
    session.Warn(fmt::format("{} bad record(s), which a pull would refuse:", sample.rejects_count));
    for (const auto& reject : sample.rejects) session.Warn("  " + reject);
  }
  return {};
}

Status Preview(Session& session, const PreviewArgs& args) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  ASSIGN_OR_RETURN(const auto subject, Find(*workspace, args.what));
  ASSIGN_OR_RETURN(const auto config, workspace::Config::Load(workspace->root()));
  ASSIGN_OR_RETURN(
      const auto secrets,
      workspace::Secrets::Load(workspace->root(), workspace::SecretsKeySource::FromEnvironment()));
  auto settings = poll::SettingsFrom(config, session.clock(), "sluice/" SLUICE_VERSION);
  settings.stop = session.stop();
  if (!subject.is_manifest) {
    ASSIGN_OR_RETURN(settings.may, poll::CapabilitiesOf(workspace->root(), subject.source));
  }
  const poll::WorkspaceVariables variables(config, secrets, subject.alias, poll::ReachOf(settings.may));
  settings.variables = &variables;
  ASSIGN_OR_RETURN(const auto folder, MakeTempFolder());
  poll::PullTarget target;
  target.alias = subject.alias;
  target.scratch_folder = folder->path();
  target.savepoint_folder = folder->path() + "/savepoint";
  auto sample = poll::Preview(subject.source, subject.vocabulary, target, settings, args.rows);
  if (!sample.ok()) return std::move(sample).error().With(args.what);
  return Show(session, *sample, args);
}

}  // namespace

void AddPreview(Commands& commands) {
  auto args = std::make_shared<PreviewArgs>();
  auto* command = commands.Add("preview", "Show what a polling source would bring, committing nothing",
                               "sluice preview manifest.yaml -n 20",
                               [args](Session& session) { return Preview(session, *args); });
  command->add_option("what", args->what, "A manifest, or a dataset")->required();
  command->add_option("-n,--num-records", args->rows, "Records to show (default 10)")
      ->check(CLI::Range(int64_t{1}, int64_t{100000}));
  command->add_option("-o,--output-format", args->format, "table, csv, json, ndjson, json-soa, json-aoa");
}

}  // namespace sluice::cli

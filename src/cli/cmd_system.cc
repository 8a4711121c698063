#include <iterator>
#include <map>

#include "base/whole_file.h"
#include "cli/commands.h"
#include "cli/error_table.h"
#include "cli/node_client.h"
#include "cli/standard_input.h"
#include "cli/usage.h"
#include "odf/yaml.h"
#include "poll/workspace_pull.h"
#include "server/config.h"
#include "workspace/compact.h"

namespace sluice::cli {
namespace {

// A stored block, or any manifest, as YAML.
Status Decode(Session& session, const std::string& path) {
  std::string bytes;
  if (path == "-") {
    ASSIGN_OR_RETURN(bytes, ReadStandardInput());
  } else {
    auto read = ReadWholeFile(path);
    if (!read.ok()) return UsageError("{}", read.error().ToString());
    bytes = std::move(*read);
  }
  auto block = odf::DecodeBlock(bytes);
  if (block.ok()) return session.Out(odf::ToYaml(*block));
  auto manifests = odf::ParseManifests(bytes, path);
  if (!manifests.ok()) {
    return InvalidArgument("neither a metadata block ({}) nor a manifest ({})", block.error().ToString(),
                           manifests.error().ToString())
        .With(path);
  }
  for (size_t i = 0; i < manifests->size(); ++i) {
    RETURN_IF_ERROR(
        session.Out((i ? "---\n" : "") +
                    std::visit([](const auto& manifest) { return odf::ToYaml(manifest); }, (*manifests)[i])));
  }
  return {};
}

Status Path(Session& session, const std::string& ref) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  ASSIGN_OR_RETURN(auto entry, workspace->Resolve(ref));
  return session.Out(workspace->DatasetFolder(entry.id) + "\n");
}

struct CompactArgs {
  std::vector<std::string> datasets;
  bool hard = false, keep_metadata_only = false, verify = false;
  uint64_t max_slice_size = 300000000;
  uint64_t max_slice_records = 10000;
};

Status Compact(Session& session, const CompactArgs& args) {
  if (!args.hard) {
    return Unsupported(
               "compaction that keeps history is not supported; --hard replaces it: anchors and followers of the dataset will notice")
        .With("usage");
  }
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  std::vector<workspace::Entry> entries;
  for (const auto& ref : args.datasets) {
    ASSIGN_OR_RETURN(auto found, workspace->ResolvePattern(ref));
    entries.insert(entries.end(), found.begin(), found.end());
  }
  workspace::CompactOptions options;
  options.max_slice_bytes = args.max_slice_size;
  options.max_slice_records = args.max_slice_records;
  options.keep_metadata_only = args.keep_metadata_only;
  options.verify_first = args.verify;
  options.stop = session.stop();
  int compacted = 0;
  for (const auto& entry : entries) {
    ASSIGN_OR_RETURN(bool sure, session.Confirm(fmt::format("Replace the history of '{}' by a compacted one?",
                                                            entry.alias)));
    if (!sure) continue;
    ASSIGN_OR_RETURN(const auto outcome, CompactDataset(session, *workspace, entry, options));
    compacted += outcome.changed ? 1 : 0;
    if (outcome.old_files_kept) {
      session.Warn(
          fmt::format("{}: old files stay, because another command reads them; compacting again removes them",
                      entry.alias));
    }
  }
  session.Say("{} dataset(s) were compacted", compacted);
  return {};
}

// Savepoints of pulls; a pull that is running keeps its own.
Status CollectGarbage(Session& session) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  ASSIGN_OR_RETURN(const uint64_t bytes, poll::DropAllSavepoints(*workspace));
  session.Say("Freed {} bytes of downloads that were not committed", bytes);
  return {};
}

Status Info(Session& session) {
  RETURN_IF_ERROR(
      session.Out("program: sluice " SLUICE_VERSION "\nblockVersions: 2 and 3 read, 3 written\n"));
  auto workspace = session.OpenWorkspace();
  if (!workspace.ok()) return session.Out("workspace: none\n");
  ASSIGN_OR_RETURN(auto entries, (*workspace)->List());
  return session.Out(fmt::format("workspace: {}\ndatasets: {}\n", (*workspace)->root(), entries.size()));
}

}  // namespace

void AddSystem(Commands& commands) {
  auto* parent = commands.Add("system", "Paths, blocks, compaction, versions",
                              "sluice system path river.gauges", nullptr);
  parent->require_subcommand(1);
  auto file = std::make_shared<std::string>();
  commands
      .Add(
          "decode", "Print a block or manifest as YAML", "sluice system decode blocks/f16209a51...",
          [file](Session& session) { return Decode(session, *file); }, parent)
      ->add_option("file", *file, "The file, - for standard input")
      ->required();
  auto ref = std::make_shared<std::string>();
  commands
      .Add(
          "path", "Print a dataset's folder (the standard layout)", "sluice system path river.gauges",
          [ref](Session& session) { return Path(session, *ref); }, parent)
      ->add_option("dataset", *ref, "The dataset")
      ->required();
  commands.Add(
      "info", "Print version and workspace", "sluice system info",
      [](Session& session) { return Info(session); }, parent);

  commands.Add(
      "gc", "Remove downloads that were kept for a repeated pull", "sluice system gc",
      [](Session& session) { return CollectGarbage(session); }, parent);

  // For the documents alone: docs/errors.md is made from it.
  commands
      .Add(
          "error-codes", "Print the table of error codes", "sluice system error-codes",
          [](Session& session) { return session.Out(ErrorTable()); }, parent)
      ->group("");

  // And the table of keys in docs/node.md.
  commands
      .Add(
          "config-keys", "Print the table of a node's configuration keys", "sluice system config-keys",
          [](Session& session) { return session.Out(server::DescribeNodeConfig()); }, parent)
      ->group("");

  auto args = std::make_shared<CompactArgs>();
  auto* compact = commands.Add(
      "compact", "Merge small slices; replaces history", "sluice system compact --hard river.gauges",
      [args](Session& session) { return Compact(session, *args); }, parent);
  compact->add_option("dataset", args->datasets, "Names, ids, or patterns with %")->required();
  compact->add_flag("--hard", args->hard, "Yes, replace the history");
  compact->add_option("--max-slice-size", args->max_slice_size, "Bytes a slice may have (default 300000000)")
      ->check(WholeNumber(1));
  compact
      ->add_option("--max-slice-records", args->max_slice_records, "Records a slice may have (default 10000)")
      ->check(WholeNumber(1));
  compact->add_flag("--keep-metadata-only", args->keep_metadata_only,
                    "Drop all data, and the states of the sources");
  compact->add_flag("--verify", args->verify, "Verify the dataset first");
}

}  // namespace sluice::cli

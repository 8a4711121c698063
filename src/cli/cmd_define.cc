#include <algorithm>
#include <iterator>
#include <map>

#include "base/names.h"
#include "cli/commands.h"
#include "cli/manifest_files.h"
#include "cli/progress_bar.h"
#include "cli/rows.h"
#include "cli/standard_input.h"
#include "cli/usage.h"
#include "dataset/clock_check.h"
#include "ingest/frame.h"
#include "ingest/metadata_commit.h"
#include "ingest/snapshot_rules.h"
#include "ingest/source_rules.h"
#include "odf/yaml.h"
#include "workspace/manifests.h"
#include "workspace/trust.h"

namespace sluice::cli {
namespace {

struct AddOptions {
  std::vector<std::string> manifests;
  std::string name, visibility;
  bool recursive = false, replace = false, drop_queue = false, use_stdin = false, dry_run = false,
       shared_snapshot = false;
};

struct NamedSnapshot {
  odf::DatasetSnapshot snapshot;
  std::string origin;
  bool is_from_url = false;
};

Result<std::vector<NamedSnapshot>> ReadSnapshots(Session& session, const AddOptions& options) {
  ASSIGN_OR_RETURN(auto texts, ReadManifests(session, options.manifests, options.recursive));
  if (options.use_stdin) {
    ASSIGN_OR_RETURN(auto piped, ReadStandardInput());
    texts.push_back({"standard input", std::move(piped), false});
  }
  std::vector<NamedSnapshot> snapshots;
  for (const auto& [origin, text, is_from_url] : texts) {
    ASSIGN_OR_RETURN(auto manifests, odf::ParseManifests(text, origin));
    for (auto& manifest : manifests) {
      auto* snapshot = std::get_if<odf::DatasetSnapshot>(&manifest);
      if (!snapshot) {
        return InvalidArgument(
                   "this manifest is not a DatasetSnapshot; 'sluice commit DATASET FILE' takes metadata events")
            .With(origin);
      }
      snapshots.push_back({std::move(*snapshot), origin, is_from_url});
    }
  }
  if (!options.name.empty()) {
    if (snapshots.size() != 1)
      return UsageError("--name goes with one manifest, there are {}", snapshots.size());
    snapshots[0].snapshot.name = options.name;
  }
  return snapshots;
}

// Names as the workspace compares them.
Status CheckNamesDiffer(const std::vector<NamedSnapshot>& snapshots) {
  std::map<std::string, const NamedSnapshot*> seen;
  for (const auto& named : snapshots) {
    std::string name = named.snapshot.name;
    for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    const auto [first, is_new] = seen.emplace(std::move(name), &named);
    if (is_new) continue;
    const auto& other = *first->second;
    if (other.origin == named.origin && other.snapshot.name == named.snapshot.name) {
      return MakeError(ErrorCode::kAlreadyExists, "dataset '{}' is given twice in '{}': nothing was added",
                       named.snapshot.name, named.origin);
    }
    return MakeError(
        ErrorCode::kAlreadyExists,
        "dataset '{}' is given twice, in '{}' and as '{}' in '{}': leave one out; nothing was added",
        other.snapshot.name, other.origin, named.snapshot.name, named.origin);
  }
  return {};
}

// Inputs before what is derived from them.
Status OrderByDependency(std::vector<NamedSnapshot>* snapshots) {
  std::vector<const odf::DatasetSnapshot*> plain;
  for (const auto& named : *snapshots) plain.push_back(&named.snapshot);
  ASSIGN_OR_RETURN(const auto order, workspace::DependencyOrder(plain));
  std::vector<NamedSnapshot> ordered;
  for (const size_t i : order) ordered.push_back(std::move((*snapshots)[i]));
  *snapshots = std::move(ordered);
  return {};
}

Result<std::optional<workspace::Entry>> FindByName(const workspace::Workspace& workspace,
                                                   const std::string& name) {
  auto entry = workspace.Resolve(name);
  if (entry.ok()) return std::optional(std::move(*entry));
  if (entry.error().code() == ErrorCode::kNotFound) return std::optional<workspace::Entry>();
  return std::move(entry).error();
}

// Whom a node shows a dataset is in its name: `kim/NAME` to tokens of the account `kim` alone, a name without
// an account to every token that may read it.
Status CheckVisibility(const std::string& wanted, const std::string& name) {
  const auto slash = name.find('/');
  if (wanted == "private" && slash == std::string::npos) {
    return InvalidArgument(
        "a node shows a dataset without an account to every token that may read it: name it 'ACCOUNT/{}' to "
        "keep it private",
        name);
  }
  if (wanted == "public" && slash != std::string::npos) {
    return InvalidArgument(
        "a node shows '{}' to tokens of the account '{}' alone: name it '{}' to make it public", name,
        name.substr(0, slash), name.substr(slash + 1));
  }
  return {};
}

// What may run commands is what this user wrote, not what lies behind a URL.
Status TrustOwnSources(Session& session, const workspace::Workspace& workspace,
                       const std::vector<workspace::NewDataset>& wanted,
                       const std::vector<std::string>& from_urls) {
  for (const auto& [snapshot, key, replaces] : wanted) {
    const bool is_foreign = std::find(from_urls.begin(), from_urls.end(), snapshot.name) != from_urls.end();
    if (!is_foreign) {
      RETURN_IF_ERROR(workspace::TrustSources(workspace.root(), snapshot.metadata));
      continue;
    }
    const bool polls = std::any_of(snapshot.metadata.begin(), snapshot.metadata.end(), [](const auto& event) {
      return std::holds_alternative<odf::SetPollingSource>(event);
    });
    if (polls) {
      session.Warn(
          fmt::format("Note: the source of '{}' came from a URL: it runs no commands and reads no "
                      "environment before 'sluice source trust {}'",
                      snapshot.name, snapshot.name));
    }
  }
  return {};
}

// A dataset made anew has another id: who takes the old one as an input would look for what is gone.
Status CheckDependants(const workspace::Workspace& workspace, const workspace::Entry& replaced,
                       const std::vector<NamedSnapshot>& snapshots) {
  ASSIGN_OR_RETURN(const auto dependants, workspace.Dependants(replaced.id));
  for (const auto& other : dependants) {
    const bool is_made_anew = std::any_of(snapshots.begin(), snapshots.end(),
                                          [&](const auto& one) { return one.snapshot.name == other.alias; });
    if (!is_made_anew) {
      return InvalidArgument(
          "dataset '{}' is an input of '{}', which would lose it: replace both in one command, or delete '{}' "
          "first",
          replaced.alias, other.alias, other.alias);
    }
  }
  return {};
}

void TellMissingColumns(Session& session, const std::string& alias, const odf::Vocabulary& vocabulary,
                        const std::vector<odf::MetadataEvent>& events) {
  const auto missing = ingest::MissingSystemColumns(vocabulary, events);
  if (missing.empty()) return;
  session.Warn(fmt::format(
      "Warning: the schema of '{}' lacks the system columns {}: no data can be added before it has them",
      alias, JoinNames(missing)));
}

Status Add(Session& session, const AddOptions& options) {
  if (options.manifests.empty() && !options.use_stdin) return UsageError("give manifests or --stdin");
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  ASSIGN_OR_RETURN(auto snapshots, ReadSnapshots(session, options));
  RETURN_IF_ERROR(CheckNamesDiffer(snapshots));
  RETURN_IF_ERROR(OrderByDependency(&snapshots));
  // Everything is checked before anything is made: one failure adds none.
  for (auto& [snapshot, origin, is_from_url] : snapshots) {
    auto check = [&]() -> Status {
      RETURN_IF_ERROR(workspace::CheckAlias(snapshot.name));
      RETURN_IF_ERROR(CheckVisibility(options.visibility, snapshot.name));
      RETURN_IF_ERROR(ingest::NormalizeEvents(&snapshot.metadata));
      return snapshot.kind == odf::DatasetKind::kRoot
                 ? ingest::CheckSnapshot(snapshot, {options.shared_snapshot})
                 : OkStatus();
    };
    if (auto status = check(); !status.ok()) {
      return std::move(status)
          .error()
          .With(fmt::format("Failed to add dataset {}", snapshot.name))
          .With(origin);
    }
  }
  std::vector<workspace::NewDataset> wanted;
  std::vector<std::string> from_urls;
  for (auto& [snapshot, origin, is_from_url] : snapshots) {
    ASSIGN_OR_RETURN(auto existing, FindByName(*workspace, snapshot.name));
    if (existing && !options.replace) {
      session.Say("Skipped: {}: Already exists", snapshot.name);
      continue;
    }
    auto prepare = [&]() -> Status {
      if (existing) RETURN_IF_ERROR(CheckDependants(*workspace, *existing, snapshots));
      RETURN_IF_ERROR(workspace::ResolveInputs(*workspace, wanted, &snapshot.metadata));
      if (snapshot.kind == odf::DatasetKind::kDerivative)
        RETURN_IF_ERROR(ingest::CheckSnapshot(snapshot, {options.shared_snapshot}));
      return {};
    };
    if (auto status = prepare(); !status.ok()) {
      return std::move(status)
          .error()
          .With(fmt::format("Failed to add dataset {}", snapshot.name))
          .With(origin);
    }
    if (options.dry_run) {
      session.Say("Would {}: {}", existing ? "replace" : "add", snapshot.name);
      continue;
    }
    if (existing) {
      ASSIGN_OR_RETURN(bool sure, session.Confirm(fmt::format("Replace dataset '{}' and lose its history?",
                                                              existing->alias)));
      if (!sure) return Error(ErrorCode::kCancelled, "nothing was added or replaced");
    }
    ASSIGN_OR_RETURN(auto key, multiformats::KeyPair::Generate());
    if (is_from_url) from_urls.push_back(snapshot.name);
    wanted.push_back({std::move(snapshot), std::move(key), std::move(existing)});
  }
  std::vector<workspace::Entry> added;
  RETURN_IF_ERROR(TrustOwnSources(session, *workspace, wanted, from_urls));
  session.drop_queue = options.drop_queue;
  if (!wanted.empty()) {
    auto made = workspace->CreateAll(wanted, session.clock());
    if (!made.ok()) return std::move(made).error().With("Failed to add, nothing was added");
    added = std::move(*made);
    for (const auto& dataset : wanted)
      TellMissingColumns(session, dataset.snapshot.name, {}, dataset.snapshot.metadata);
  }
  for (const auto& entry : added) session.Say("Added: {}", entry.alias);
  session.Say("Added {} dataset(s)", added.size());
  return {};
}

// --- commit and source: events into an existing chain ---

Status CommitEvents(Session& session, const std::string& ref, std::vector<odf::MetadataEvent> events,
                    bool shared_snapshot) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  ASSIGN_OR_RETURN(auto entry, workspace->Resolve(ref));
  ProgressBar progress(session.stderr_is_terminal() && !session.no_color && !session.quiet);
  odf::Vocabulary vocabulary;
  auto commit = [&]() -> Result<ingest::MetadataCommitResult> {
    RETURN_IF_ERROR(ingest::CheckGivenEvents(&events));
    RETURN_IF_ERROR(workspace::ResolveInputs(*workspace, {}, &events));
    RETURN_IF_ERROR(workspace::TrustSources(workspace->root(), events));
    ASSIGN_OR_RETURN(auto guard, workspace->BeginCommit(entry.id));
    ASSIGN_OR_RETURN(auto dataset, workspace->Open(entry));
    ingest::MetadataCommit request;
    request.events = events;
    request.rules.shared_snapshot = shared_snapshot;
    request.now = session.clock().Now();
    request.progress = &progress;
    if (const auto ahead = dataset::DescribeClockAhead(dataset->state(), session.clock()))
      session.Warn("Note: " + *ahead);
    request.stop = session.stop();
    vocabulary = dataset->state().vocabulary;
    return ingest::CommitMetadata(*guard, *dataset, std::move(request));
  };
  auto result = commit();
  progress.Clear();
  if (!result.ok()) return std::move(result).error().With(fmt::format("dataset '{}'", entry.alias));
  if (!result->index.ok()) {
    session.Warn(fmt::format("Note: the key index is not complete and will be built by the next ingest: {}",
                             result->index.error().ToString()));
  }
  TellMissingColumns(session, entry.alias, vocabulary, events);
  for (const auto& event : events) {
    if (std::holds_alternative<odf::DisablePushSource>(event) ||
        std::holds_alternative<odf::DisablePollingSource>(event)) {
      session.Warn("Note: kamu versions up to 0.265 cannot extend a chain that holds a disable event");
      break;
    }
  }
  session.Say("Committed {} block(s), head is {}", result->commit.blocks.size(),
              result->commit.new_head.ToString());
  return {};
}

struct CommitArgs {
  std::string dataset, file;
  bool shared_snapshot = false, drop_queue = false;
};

Status Commit(Session& session, const CommitArgs& args) {
  std::string text;
  if (args.file == "-") {
    ASSIGN_OR_RETURN(text, ReadStandardInput());
  } else {
    ASSIGN_OR_RETURN(text, ReadManifestFile(args.file));
  }
  ASSIGN_OR_RETURN(auto manifests, odf::ParseManifests(text, args.file));
  std::vector<odf::MetadataEvent> events;
  for (auto& manifest : manifests) {
    auto* event = std::get_if<odf::MetadataEvent>(&manifest);
    if (!event)
      return InvalidArgument("this manifest is not a MetadataEvent; 'sluice add' takes DatasetSnapshots")
          .With(args.file);
    events.push_back(std::move(*event));
  }
  return CommitEvents(session, args.dataset, std::move(events), args.shared_snapshot);
}

struct SourceArgs {
  std::string dataset, name, file, format;
  bool polling = false, shared_snapshot = false, drop_queue = false;
};

Status ListSources(Session& session, const SourceArgs& args) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  ASSIGN_OR_RETURN(auto entry, workspace->Resolve(args.dataset));
  ASSIGN_OR_RETURN(auto dataset, workspace->Open(entry));
  const auto& state = dataset->state();
  if (state.push_sources.empty() && !state.polling_source) session.Say("Dataset has no active source");
  ASSIGN_OR_RETURN(auto format, session.FormatOrDefault(args.format));
  RowTable table;
  table.Text("Name")
      .Text("Kind")
      .Text("Format")
      .Text("Merge")
      .Text("StateKind")
      .Text("State")
      .Integer("StateBlock");
  auto add = [&](std::string_view name, const char* kind, const auto& source) {
    const auto& read = source.event.read;
    std::vector<RowTable::Cell> row = {std::string(name), std::string(kind),
                                       std::string(odf::NameOf(read.format)),
                                       std::string(odf::NameOf(source.event.merge.kind))};
    row.push_back(source.state ? RowTable::Cell(source.state->kind) : RowTable::Cell());
    row.push_back(source.state ? RowTable::Cell(source.state->value) : RowTable::Cell());
    row.push_back(source.state_sequence ? RowTable::Cell(static_cast<int64_t>(*source.state_sequence))
                                        : RowTable::Cell());
    table.Add(std::move(row));
  };
  for (const auto& [name, source] : state.push_sources) add(name, "push", source);
  if (state.polling_source) add(odf::kPollingSourceName, "polling", *state.polling_source);
  return table.Print(session, format);
}

Status ShowSource(Session& session, const SourceArgs& args) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  ASSIGN_OR_RETURN(auto entry, workspace->Resolve(args.dataset));
  ASSIGN_OR_RETURN(auto dataset, workspace->Open(entry));
  const auto& state = dataset->state();
  if (args.name == odf::kPollingSourceName && state.polling_source) {
    RETURN_IF_ERROR(session.Out(odf::ToYaml(odf::MetadataEvent(state.polling_source->event))));
    return {};
  }
  ASSIGN_OR_RETURN(auto source, ingest::SelectPushSource(state, args.name));
  const auto& active = state.push_sources.at(source.name);
  // The state is a comment, so that what is printed can be given to `source add`.
  std::string text = odf::ToYaml(odf::MetadataEvent(active.event));
  if (active.state) {
    text += fmt::format("# State: {} = {} (block #{})\n", active.state->kind, active.state->value,
                        active.state_sequence.value_or(0));
  }
  if (active.file_state) {
    text += fmt::format("# Files: {} (block #{})\n", active.file_state->value,
                        active.file_state_sequence.value_or(0));
  }
  return session.Out(text);
}

// A source that came with a dataset from elsewhere may do from now on what one's own may.
Status TrustSource(Session& session, const SourceArgs& args) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  ASSIGN_OR_RETURN(auto entry, workspace->Resolve(args.dataset));
  ASSIGN_OR_RETURN(auto dataset, workspace->Open(entry));
  const auto& source = dataset->state().polling_source;
  if (!source) return NotFound("dataset '{}' has no polling source", entry.alias);
  RETURN_IF_ERROR(workspace::TrustSource(workspace->root(), source->event));
  session.Say("Trusted the polling source of {}", entry.alias);
  return {};
}

Status AddSourceFromFile(Session& session, const SourceArgs& args) {
  ASSIGN_OR_RETURN(auto text, ReadManifestFile(args.file));
  std::vector<odf::MetadataEvent> events;
  auto manifests = odf::ParseManifests(text, args.file);
  if (manifests.ok()) {
    for (auto& manifest : *manifests) {
      auto* event = std::get_if<odf::MetadataEvent>(&manifest);
      if (!event) {
        return InvalidArgument(
                   "this manifest is a DatasetSnapshot: expected an AddPushSource or SetPollingSource; 'sluice "
                   "add' takes snapshots")
            .With(args.file);
      }
      events.push_back(std::move(*event));
    }
  } else {
    ASSIGN_OR_RETURN(auto event, odf::ParseEvent(text, args.file));
    events.push_back(std::move(event));
  }
  for (const auto& event : events) {
    if (!std::holds_alternative<odf::AddPushSource>(event) &&
        !std::holds_alternative<odf::SetPollingSource>(event)) {
      return InvalidArgument("'{}' is not a source: expected AddPushSource or SetPollingSource",
                             odf::KindNameOf(event))
          .With(args.file);
    }
  }
  return CommitEvents(session, args.dataset, std::move(events), args.shared_snapshot);
}

}  // namespace

void AddAdd(Commands& commands) {
  auto options = std::make_shared<AddOptions>();
  auto* command = commands.Add("add", "Make datasets from manifests", "sluice add river.gauges.yaml",
                               [options](Session& session) { return Add(session, *options); });
  command->add_option("manifest", options->manifests,
                      "Manifest files or URLs (several documents in one are fine)");
  command->add_flag("-r,--recursive", options->recursive, "Look for manifests in folders");
  command->add_flag("--replace", options->replace, "Replace datasets that exist, history included");
  command->add_flag("--drop-queue", options->drop_queue,
                    "With --replace: give up what is queued for them, instead of committing it first");
  command->add_flag("--stdin", options->use_stdin, "Read manifests from standard input");
  command->add_option("--name", options->name, "Another name than the manifest's");
  command
      ->add_option("--visibility", options->visibility,
                   "Refuse a name that a node would show otherwise: private (ACCOUNT/NAME) or public (NAME)")
      ->check(CLI::IsMember({"private", "public"}));
  command->add_flag("--shared-snapshot", options->shared_snapshot, "Allow a Snapshot source beside others");
  command->add_flag("--dry-run", options->dry_run, "Check everything, add nothing");
}

void AddCommit(Commands& commands) {
  auto args = std::make_shared<CommitArgs>();
  auto* command = commands.Add("commit", "Append metadata events to a dataset",
                               "sluice commit river.gauges license.yaml", [args](Session& session) {
                                 session.drop_queue = args->drop_queue;
                                 return Commit(session, *args);
                               });
  command->add_option("dataset", args->dataset, "The dataset")->required();
  command->add_option("file", args->file, "MetadataEvent manifests, - for standard input")->required();
  command->add_flag("--shared-snapshot", args->shared_snapshot, "Allow a Snapshot source beside others");
  command->add_flag("--drop-queue", args->drop_queue, kDropQueueHelp);
}

void AddSource(Commands& commands) {
  auto* parent = commands.Add("source", "List, show, add and disable sources",
                              "sluice source list river.gauges", nullptr);
  parent->require_subcommand(1);
  auto args = std::make_shared<SourceArgs>();

  auto* list = commands.Add(
      "list", "The active sources: name, kind, format, merge, state", "sluice source list river.gauges",
      [args](Session& session) { return ListSources(session, *args); }, parent);
  list->add_option("dataset", args->dataset, "The dataset")->required();
  list->add_option("-o,--output-format", args->format, "table, csv, json, ndjson, json-soa, json-aoa");

  auto* show = commands.Add(
      "show", "One source with its state", "sluice source show river.gauges default",
      [args](Session& session) { return ShowSource(session, *args); }, parent);
  show->add_option("dataset", args->dataset, "The dataset")->required();
  show->add_option("name", args->name, "The source")->required();

  auto* add = commands.Add(
      "add", "Add or replace a source", "sluice source add river.gauges station-7.yaml",
      [args](Session& session) {
        session.drop_queue = args->drop_queue;
        return AddSourceFromFile(session, *args);
      },
      parent);
  add->add_option("dataset", args->dataset, "The dataset")->required();
  add->add_option("file", args->file, "An AddPushSource or SetPollingSource event")->required();
  add->add_flag("--shared-snapshot", args->shared_snapshot, "Allow a Snapshot source beside others");
  add->add_flag("--drop-queue", args->drop_queue, kDropQueueHelp);

  auto* trust = commands.Add(
      "trust", "Let the polling source of a dataset from elsewhere run commands and read the environment",
      "sluice source trust river.gauges", [args](Session& session) { return TrustSource(session, *args); },
      parent);
  trust->add_option("dataset", args->dataset, "The dataset")->required();

  auto* disable = commands.Add(
      "disable", "End a source", "sluice source disable river.gauges station-7",
      [args](Session& session) -> Status {
        if (args->polling != args->name.empty()) return UsageError("name the push source, or give --polling");
        session.drop_queue = args->drop_queue;
        std::vector<odf::MetadataEvent> events;
        if (args->polling) {
          events.push_back(odf::DisablePollingSource{});
        } else {
          events.push_back(odf::DisablePushSource{args->name});
        }
        return CommitEvents(session, args->dataset, std::move(events), false);
      },
      parent);
  disable->add_option("dataset", args->dataset, "The dataset")->required();
  disable->add_option("name", args->name, "The push source");
  disable->add_flag("--polling", args->polling, "The polling source");
  disable->add_flag("--drop-queue", args->drop_queue, kDropQueueHelp);
}

}  // namespace sluice::cli

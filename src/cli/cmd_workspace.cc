#include <algorithm>
#include <filesystem>

#include "cli/commands.h"
#include "cli/rows.h"
#include "cli/usage.h"
#include "poll/last_pull.h"
#include "poll/schedule.h"

namespace sluice::cli {
namespace {

std::string KindName(const odf::ChainState& state) {
  return state.kind == odf::DatasetKind::kRoot ? "Root" : "Derivative";
}

std::string HumanSize(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string HumanAgo(Instant then, Instant now) {
  const int64_t seconds = std::max<int64_t>(0, now.seconds - then.seconds);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return fmt::format("{} min ago", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{} h ago", seconds / 3600);
  return fmt::format("{} days ago", seconds / 86400);
}

// The scheduled run, or the pull by hand that came after it.
poll::RunState LastRun(const poll::RunState& scheduled, const std::optional<poll::LastPull>& pull) {
  if (!pull || (scheduled.last_start && pull->start <= *scheduled.last_start) ||
      (scheduled.last_end && pull->start <= *scheduled.last_end))
    return scheduled;
  poll::RunState last;
  last.last_start = pull->start;
  last.last_end = pull->end;
  last.last_failed = pull->error.has_value();
  last.failures = last.last_failed ? 1 : 0;
  last.last_error = pull->error.value_or("");
  return last;
}

std::optional<std::string> ResultOf(const poll::RunState& run) {
  if (!run.last_start) return std::nullopt;
  if (!run.last_end || *run.last_end < *run.last_start) return "running";
  return run.last_failed ? fmt::format("failed {} time(s): {}", run.failures, run.last_error) : "ok";
}

struct ListOptions {
  std::string format;
  bool wide = false;
};

Status List(Session& session, const ListOptions& options) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  ASSIGN_OR_RETURN(auto format, session.FormatOrDefault(options.format));
  ASSIGN_OR_RETURN(auto entries, workspace->List());
  const bool human = format == columnar::OutputFormat::kTable;

  RowTable table;
  if (options.wide) table.Text("ID");
  table.Text("Name").Text("Kind");
  if (options.wide) table.Text("Head");
  human ? table.Text("Pulled") : table.Time("Pulled");
  human ? table.Text("Records") : table.Integer("Records");
  if (options.wide) table.Integer("Blocks");
  human ? table.Text("Size") : table.Integer("Size");
  if (options.wide) table.Time("Watermark");
  // When the last pull began, what came of it, and, of those that are scheduled, when the next is due.
  const auto runs =
      options.wide ? poll::LoadRunStates(workspace->root()) : std::map<std::string, poll::RunState>();
  if (options.wide) table.Time("LastPull").Text("LastResult").Time("NextPull");

  for (const auto& entry : entries) {
    ASSIGN_OR_RETURN(auto dataset, workspace->Open(entry));
    const auto& state = dataset->state();
    std::vector<RowTable::Cell> row;
    if (options.wide) row.push_back(entry.id.ToString());
    row.push_back(entry.alias);
    row.push_back(KindName(state));
    if (options.wide) row.push_back(state.head->ToString());
    if (human) {
      row.push_back(state.last_data_time ? HumanAgo(*state.last_data_time, session.clock().Now()) : "-");
      row.push_back(state.data_records ? fmt::format("{}", state.data_records) : "-");
    } else {
      row.push_back(RowTable::TimeOrNull(state.last_data_time));
      row.push_back(static_cast<int64_t>(state.data_records));
    }
    if (options.wide) row.push_back(static_cast<int64_t>(state.sequence + 1));
    if (human) {
      row.push_back(state.data_bytes ? HumanSize(state.data_bytes) : "-");
    } else {
      row.push_back(static_cast<int64_t>(state.data_bytes));
    }
    if (options.wide) {
      row.push_back(RowTable::TimeOrNull(state.watermark()));
      const auto run = runs.find(entry.alias);
      const auto scheduled = run == runs.end() ? poll::RunState() : run->second;
      const auto last = LastRun(scheduled, poll::LoadLastPull(*workspace, entry));
      row.push_back(RowTable::TimeOrNull(last.last_start));
      row.push_back(RowTable::TextOrNull(ResultOf(last)));
      row.push_back(RowTable::TimeOrNull(scheduled.next_run));
    }
    table.Add(std::move(row));
  }
  return table.Print(session, format);
}

Result<std::vector<workspace::Entry>> Choose(workspace::Workspace& workspace,
                                             const std::vector<std::string>& refs, bool all) {
  if (all != refs.empty()) return UsageError("name the datasets, or give --all");
  if (all) return workspace.List();
  std::vector<workspace::Entry> chosen;
  for (const auto& ref : refs) {
    ASSIGN_OR_RETURN(auto entries, workspace.ResolvePattern(ref));
    for (auto& entry : entries) {
      const bool twice =
          std::any_of(chosen.begin(), chosen.end(), [&](const auto& c) { return c.id == entry.id; });
      if (!twice) chosen.push_back(std::move(entry));
    }
  }
  return chosen;
}

struct DeleteOptions {
  std::vector<std::string> datasets;
  bool all = false;
  bool drop_queue = false;
  bool recursive = false;
};

// Adds dependents, transitively, in front of what they depend on.
Status AddDependants(const workspace::Workspace& workspace, std::vector<workspace::Entry>* entries,
                     bool recursive) {
  for (size_t i = 0; i < entries->size(); ++i) {
    const auto entry = (*entries)[i];
    ASSIGN_OR_RETURN(auto dependents, workspace.Dependants(entry.id));
    for (const auto& dependent : dependents) {
      const bool known =
          std::any_of(entries->begin(), entries->end(), [&](const auto& e) { return e.id == dependent.id; });
      if (known) continue;
      if (!recursive) {
        return InvalidArgument("Dataset {} is referenced by: {}; --recursive deletes those as well",
                               entry.alias, dependent.alias);
      }
      entries->push_back(dependent);
    }
  }
  std::reverse(entries->begin(), entries->end());
  return {};
}

Status Delete(Session& session, const DeleteOptions& options) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  ASSIGN_OR_RETURN(auto entries, Choose(*workspace, options.datasets, options.all));
  RETURN_IF_ERROR(AddDependants(*workspace, &entries, options.recursive));
  std::string names;
  for (const auto& entry : entries) names += "\n  " + entry.alias;
  if (!entries.empty()) {
    ASSIGN_OR_RETURN(bool sure,
                     session.Confirm(fmt::format("Delete for good, data and history:{}\nSure?", names)));
    if (!sure) return Error(ErrorCode::kCancelled, "nothing was deleted");
  }
  for (const auto& entry : entries) RETURN_IF_ERROR(workspace->Delete(entry));
  session.Say("Deleted {} dataset(s)", entries.size());
  return {};
}

Status Reset(Session& session, const std::string& ref, const std::string& hash_text) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  ASSIGN_OR_RETURN(auto entry, workspace->Resolve(ref));
  ASSIGN_OR_RETURN(auto hash, odf::Multihash::Parse(hash_text));
  ASSIGN_OR_RETURN(bool sure,
                   session.Confirm(fmt::format("Take dataset '{}' back to block {}? What came after is lost.",
                                               entry.alias, hash.ToShortString())));
  if (!sure) return Error(ErrorCode::kCancelled, "nothing was changed");
  RETURN_IF_ERROR(workspace->Reset(entry, hash));
  session.Say("Dataset was reset");
  return {};
}

}  // namespace

void AddInit(Commands& commands) {
  auto exists_ok = std::make_shared<bool>(false);
  auto* command = commands.Add(
      "init", "Make a workspace in the current folder", "sluice init",
      [exists_ok](Session& session) -> Status {
        std::error_code error;
        const bool existed = std::filesystem::exists(".sluice/version", error);
        ASSIGN_OR_RETURN(auto workspace, workspace::Workspace::Init(".", *exists_ok));
        session.Say("{}: {}", existed ? "Workspace already exists" : "Initialized an empty workspace",
                    std::filesystem::path(workspace->root()).lexically_normal().string());
        return {};
      });
  command->add_flag("--exists-ok", *exists_ok, "No error when there is one already");
}

void AddList(Commands& commands) {
  auto options = std::make_shared<ListOptions>();
  auto* command = commands.Add("list", "List the datasets", "sluice list -o table",
                               [options](Session& session) { return List(session, *options); });
  command->alias("ls");
  command->add_option("-o,--output-format", options->format,
                      "table, csv, json, ndjson, json-soa, json-aoa, parquet");
  command->add_flag("-w,--wide", options->wide, "Also ids, heads, blocks, watermarks and pulls");
}

void AddDeleteRenameReset(Commands& commands) {
  auto options = std::make_shared<DeleteOptions>();
  auto* remove = commands.Add("delete", "Delete datasets with their history", "sluice delete old.readings",
                              [options](Session& session) {
                                session.drop_queue = options->drop_queue;
                                return Delete(session, *options);
                              });
  remove->alias("rm");
  remove->add_option("dataset", options->datasets, "Names, ids, or patterns with %");
  remove->add_flag("-a,--all", options->all, "All datasets of the workspace");
  remove->add_flag("-r,--recursive", options->recursive, "Also the datasets derived from them");
  remove->add_flag("--drop-queue", options->drop_queue, kDropQueueHelp);

  auto reset = std::make_shared<std::pair<std::string, std::string>>();
  auto drops = std::make_shared<bool>(false);
  auto* back = commands.Add("reset", "Take a dataset back to an earlier block",
                            "sluice reset readings f16209a51...", [reset, drops](Session& session) {
                              session.drop_queue = *drops;
                              return Reset(session, reset->first, reset->second);
                            });
  back->add_option("dataset", reset->first, "The dataset")->required();
  back->add_option("hash", reset->second, "The block that is to be the head")->required();
  back->add_flag("--drop-queue", *drops, kDropQueueHelp);

  auto names = std::make_shared<std::pair<std::string, std::string>>();
  auto* rename = commands.Add("rename", "Give a dataset another name",
                              "sluice rename readings river.readings", [names](Session& session) -> Status {
                                ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
                                ASSIGN_OR_RETURN(auto entry, workspace->Resolve(names->first));
                                RETURN_IF_ERROR(workspace->Rename(entry, names->second));
                                session.Say("Renamed {} to {}", entry.alias, names->second);
                                return {};
                              });
  rename->add_option("dataset", names->first, "The dataset")->required();
  rename->add_option("name", names->second, "Its new name")->required();
}

}  // namespace sluice::cli

#include <chrono>
#include <csignal>
#include <cstdio>
#include <string_view>
#include <utility>

#include "cli/command_cost.h"
#include "cli/commands.h"
#include "cli/help.h"

#ifndef SLUICE_VERSION
#define SLUICE_VERSION "0.0.0"
#endif

namespace sluice::cli {
namespace {

constexpr int kUsageExit = 2;

constexpr char kFooter[] =
    "Start here:\n"
    "  sluice init\n"
    "  sluice new readings            # writes readings.yaml, ready to edit\n"
    "  sluice add readings.yaml\n"
    "  sluice ingest readings data.csv\n"
    "  sluice tail readings\n"
    "Every command has its own --help with an example. The options above may also stand after a command.\n"
    "\n"
    "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 busy, 4 changed underneath, 5 corrupt,\n"
    "6 out of space or memory, 7 outcome unknown, 8 invalid records, 130 interrupted.";

void AddGlobals(CLI::App& app, Session& session) {
  app.add_flag("-v,--verbose", session.verbose,
               "Say more: the workspace, what the command cost, the kind of an error");
  app.add_flag("-q,--quiet", session.quiet, "Print data and errors only");
  app.add_flag("-y,--yes", session.yes, "Answer yes to every question");
  app.add_flag("--no-color", session.no_color, "No colour, no progress bar");
  app.add_flag("--metrics", session.metrics,
               "Print what the command cost, in Prometheus' text format, to standard error");
  app.add_option("--lock-timeout", session.lock_timeout_seconds,
                 "Seconds to wait for another writer (default 60)")
      ->check(CLI::Range(int64_t{0}, int64_t{86400}));
  app.add_option("--system-time", session.system_time, "Freeze the clock at this RFC 3339 time")->group("");
  app.fallthrough();
}

using Adder = void (*)(Commands&);

constexpr Adder kAll[] = {AddInit,     AddNew,        AddAdd,        AddList,    AddIngest,
                          AddPull,     AddPreview,    AddConfig,     AddSecrets, AddPush,
                          AddLog,      AddTail,       AddSql,        AddExport,  AddVerify,
                          AddInspect,  AddHead,       AddSource,     AddServe,   AddRun,
                          AddPipeline, AddConnectors, AddNode,       AddCommit,  AddDeleteRenameReset,
                          AddToken,    AddSystem,     AddCompletions};

// What scripts run again and again: declaring the options of all the other commands takes 1.5 ms.
constexpr std::pair<std::string_view, Adder> kAlone[] = {
    {"ingest", AddIngest}, {"pull", AddPull}, {"push", AddPush},    {"list", AddList},
    {"tail", AddTail},     {"sql", AddSql},   {"verify", AddVerify}};

void AddCommands(Commands& commands, std::string_view first_word) {
  for (const auto& [name, add] : kAlone) {
    if (name == first_word) return add(commands);
  }
  for (auto add : kAll) add(commands);
}

// Prints the error, if there is one; returns the exit code.
int Conclude(Session& session, const Status& status) {
  if (status.ok()) return 0;
  const Error& error = status.error();
  if (error.code() == ErrorCode::kCancelled && error.message() == "standard output was closed") return 0;
  session.Warn("Error: " + error.ToString());
  const bool is_usage = !error.context().empty() && error.context().front() == "usage";
  const int exit_code = is_usage ? kUsageExit : InfoOf(error.code()).exit_code;
  session.SayMore(fmt::format("Kind of error: {}, exit code {}; docs/errors.md lists them",
                              is_usage ? "usage" : InfoOf(error.code()).name, exit_code));
  return exit_code;
}

void TellCost(Session& session, const CommandCost& cost, const CLI::App& app, int exit_code) {
  session.SayMore("Cost: " + DescribeCost(cost));
  if (!session.metrics) return;
  std::string command;
  for (const auto* parsed = &app; !parsed->get_subcommands().empty();) {
    parsed = parsed->get_subcommands().front();
    command += (command.empty() ? "" : " ") + parsed->get_name();
  }
  std::string text = CostMetrics(cost, command, exit_code);
  text.pop_back();  // the line's end that Warn adds
  session.Warn(text);
}

}  // namespace

int Run(int argc, char** argv, std::stop_token stop, std::atomic<bool>& paging,
        const pipeline::Registry& registry) {
  const auto start = std::chrono::steady_clock::now();
  CLI::App app("Exactly-once ingestion into tamper-evident history", "sluice");
  app.set_version_flag("--version", "sluice " SLUICE_VERSION);
  app.require_subcommand(1);
  app.footer(kFooter);
  app.formatter(MakeHelpFormatter());
  Session session(std::move(stop), paging, registry);
  AddGlobals(app, session);

  Commands commands(app);
  AddCommands(commands, argc > 1 ? argv[1] : "");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForAllHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return app.exit(version);
  } catch (const CLI::ParseError& error) {
    std::fputs(ExplainUsageError(app, error, argc, argv).c_str(), stderr);
    return kUsageExit;
  }

  Status status = session.Prepare();
  if (status.ok()) status = commands.action()(session);
  const int exit_code = Conclude(session, status);
  TellCost(session, MeasureCost(start), app, exit_code);
  return exit_code;
}

}  // namespace sluice::cli

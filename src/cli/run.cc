#include <csignal>
#include <cstdio>

#include "base/names.h"
#include "cli/commands.h"

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
    "Every command has its own --help with an example.";

void AddGlobals(CLI::App& app, Session& session) {
  app.add_flag("-v,--verbose", session.verbosity, "Say more; may be repeated");
  app.add_flag("-q,--quiet", session.quiet, "Print data and errors only");
  app.add_flag("-y,--yes", session.yes, "Answer yes to every question");
  app.add_flag("--no-color", session.no_color, "No colour, no progress bar");
  app.add_option("--lock-timeout", session.lock_timeout_seconds, "Seconds to wait for another writer (default 60)")
      ->check(CLI::Range(int64_t{0}, int64_t{86400}));
  app.add_option("--system-time", session.system_time, "Freeze the clock at this RFC 3339 time")->group("");
  app.fallthrough();
}

std::string NearCommand(const CLI::App& app, const std::string& word) {
  std::vector<std::string> names;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) names.push_back(command->get_name());
  const auto near = NearNames(word, names);
  return near.empty() ? "" : near.front();
}

int PrintUsageError(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  std::fprintf(stderr, "Error: %s\n", error.what());
  // The first word that is no command is most likely a misspelt one.
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.empty() || word[0] == '-') continue;
    const auto known = app.get_subcommands([&](const CLI::App* command) { return command->check_name(word); });
    if (known.empty()) {
      if (auto near = NearCommand(app, word); !near.empty()) std::fprintf(stderr, "Did you mean '%s'?\n", near.c_str());
      std::fprintf(stderr, "Run 'sluice --help' for the commands.\n");
    } else {
      std::fprintf(stderr, "Run 'sluice %s --help' for its options.\n", word.c_str());
    }
    break;
  }
  return kUsageExit;
}

}  // namespace

int Run(int argc, char** argv, std::stop_token stop) {
  CLI::App app("Exactly-once ingestion into tamper-evident history", "sluice");
  app.set_version_flag("--version", "sluice " SLUICE_VERSION);
  app.require_subcommand(1);
  app.footer(kFooter);
  app.get_formatter()->column_width(34);
  Session session(std::move(stop));
  AddGlobals(app, session);

  Commands commands(app);
  for (auto add : {AddInit, AddNew, AddAdd, AddList, AddIngest, AddLog, AddTail, AddSql, AddExport, AddVerify, AddInspect,
                   AddHead, AddSource, AddCommit, AddDeleteRenameReset, AddSystem, AddCompletions}) {
    add(commands);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForAllHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return app.exit(version);
  } catch (const CLI::ParseError& error) {
    return PrintUsageError(app, error, argc, argv);
  }

  Status status = session.Prepare();
  if (status.ok()) status = commands.action()(session);
  if (status.ok()) return 0;
  const Error& error = status.error();
  if (error.code() == ErrorCode::kCancelled && error.message() == "standard output was closed") return 0;
  session.Warn("Error: " + error.ToString());
  return error.context().empty() || error.context().front() != "usage" ? InfoOf(error.code()).exit_code : kUsageExit;
}

}  // namespace sluice::cli

#pragma once

#include <CLI/CLI.hpp>
#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "cli/session.h"

// One function a command (or family): declares its options on the parser. The action runs after parsing.
namespace sluice::cli {

using Action = std::function<Status(Session&)>;

// Makes a subcommand whose options live in an `Options` shared by parser and action. `example` is shown at
// the end of its help.
class Commands {
 public:
  explicit Commands(CLI::App& app) : app_(app) {}

  // A command of `parent` (the program when null).
  CLI::App* Add(const std::string& name, const std::string& summary, const std::string& example,
                Action action, CLI::App* parent = nullptr) {
    CLI::App* command = (parent ? parent : &app_)->add_subcommand(name, summary);
    command->footer("Example:\n  " + example);
    if (action) command->callback([this, action] { action_ = action; });
    return command;
  }
  const Action& action() const { return action_; }
  CLI::App& app() { return app_; }

 private:
  CLI::App& app_;
  Action action_;
};

// Of options that count something: a whole number, not below `least`.
CLI::Validator WholeNumber(int64_t least);

void AddInit(Commands& commands);
void AddList(Commands& commands);
void AddDeleteRenameReset(Commands& commands);
void AddNew(Commands& commands);
void AddAdd(Commands& commands);
void AddCommit(Commands& commands);
void AddSource(Commands& commands);
void AddIngest(Commands& commands);
void AddPull(Commands& commands);
void AddPush(Commands& commands);
void AddPreview(Commands& commands);
void AddConfig(Commands& commands);
void AddSecrets(Commands& commands);
void AddLog(Commands& commands);
void AddHead(Commands& commands);
void AddTail(Commands& commands);
void AddSql(Commands& commands);
void AddExport(Commands& commands);
void AddVerify(Commands& commands);
void AddInspect(Commands& commands);
void AddNode(Commands& commands);
void AddServe(Commands& commands);
void AddRun(Commands& commands);
void AddPipeline(Commands& commands);
void AddConnectors(Commands& commands);
void AddToken(Commands& commands);
void AddSystem(Commands& commands);
void AddCompletions(Commands& commands);

// The whole program: parses, runs, prints errors; returns the exit code. `paging` is set while a pager has
// the terminal and with it the signals. `registry` = the connectors of pipelines.
int Run(int argc, char** argv, std::stop_token stop, std::atomic<bool>& paging,
        const pipeline::Registry& registry);

}  // namespace sluice::cli

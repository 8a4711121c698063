#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/rows.h"
#include "cli/usage.h"
#include "workspace/config.h"
#include "workspace/secrets.h"

namespace sluice::cli {
namespace {

struct ConfigArgs {
  std::string key, value, dataset, format, file;
};

// The name as the workspace writes it, so that variables are found again.
Result<std::string> AliasOf(Session& session, const std::string& dataset) {
  if (dataset.empty()) return std::string();
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  ASSIGN_OR_RETURN(const auto entry, workspace->Resolve(dataset));
  return entry.alias;
}

// As it may be set again: words between blanks, or a list where a word has blanks.
std::string JoinWords(const std::vector<std::string>& words) {
  std::string text;
  const bool plain = std::none_of(words.begin(), words.end(), [](const std::string& word) {
    return word.empty() || word.find_first_of(" \t\n") != std::string::npos;
  });
  if (!plain) return nlohmann::json(words).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

Status ListConfig(Session& session, const ConfigArgs& args) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  ASSIGN_OR_RETURN(const auto config, workspace::Config::Load(workspace->root()));
  ASSIGN_OR_RETURN(const auto format, session.FormatOrDefault(args.format));
  RowTable table;
  table.Text("Key").Text("Value").Text("Set").Text("Meaning");
  for (const auto& key : workspace::ConfigKeys()) {
    table.Add(
        {std::string(key.name), config.Text(key.name), std::string(config.IsSet(key.name) ? "yes" : "no"),
         std::string(key.help) + (key.has_effect ? "" : " (no effect: such sources cannot be pulled)")});
  }
  for (const auto& [name, words] : config.Commands()) {
    table.Add({"source.exec." + name, JoinWords(words), std::string("yes"),
               std::string("command that exec:") + name + " runs"});
  }
  for (const auto& [name, value] : config.Variables(""))
    table.Add({"variables." + name, value, std::string("yes"), std::string("variable of the workspace")});
  return table.Print(session, format);
}

Status GetConfig(Session& session, const ConfigArgs& args) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  ASSIGN_OR_RETURN(const auto config, workspace::Config::Load(workspace->root()));
  ASSIGN_OR_RETURN(const auto alias, AliasOf(session, args.dataset));
  if (args.key.starts_with("variables.")) {
    const auto value = config.Variable(alias, args.key.substr(10));
    if (!value) return NotFound("there is no '{}'", args.key);
    return session.Out(*value + "\n");
  }
  if (args.key.starts_with("source.exec.")) {
    const auto commands = config.Commands();
    const auto found = commands.find(args.key.substr(12));
    if (found == commands.end()) return NotFound("there is no '{}'", args.key);
    return session.Out(JoinWords(found->second) + "\n");
  }
  for (const auto& key : workspace::ConfigKeys()) {
    if (key.name == args.key) return session.Out(config.Text(args.key) + "\n");
  }
  return NotFound("unknown configuration key '{}'; 'sluice config list' shows them", args.key);
}

Status SetConfig(Session& session, const ConfigArgs& args) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  ASSIGN_OR_RETURN(auto config, workspace::Config::Load(workspace->root()));
  ASSIGN_OR_RETURN(const auto alias, AliasOf(session, args.dataset));
  RETURN_IF_ERROR(config.Set(alias, args.key, args.value));
  for (const auto& key : workspace::ConfigKeys()) {
    if (key.name == args.key && !key.has_effect)
      session.Warn("Note: this version cannot pull such sources: the value is kept and has no effect");
  }
  session.Say("Set {}", args.key);
  return {};
}

Status UnsetConfig(Session& session, const ConfigArgs& args) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  ASSIGN_OR_RETURN(auto config, workspace::Config::Load(workspace->root()));
  ASSIGN_OR_RETURN(const auto alias, AliasOf(session, args.dataset));
  RETURN_IF_ERROR(config.Unset(alias, args.key));
  session.Say("Unset {}", args.key);
  return {};
}

Result<workspace::Secrets> OpenSecrets(Session& session) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  return workspace::Secrets::Load(workspace->root(), workspace::SecretsKeySource::FromEnvironment());
}

// A line from the terminal that is not shown, or from a pipe. Never from an argument: others see those.
Result<std::string> ReadSecret() {
  const bool terminal = isatty(STDIN_FILENO) == 1;
  termios before{};
  if (terminal) {
    std::cerr << "Value: " << std::flush;
    tcgetattr(STDIN_FILENO, &before);
    termios silent = before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  std::string value;
  std::getline(std::cin, value);
  if (terminal) {
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    std::cerr << "\n";
  }
  if (value.empty()) return UsageError("the value is empty: give it on standard input");
  return value;
}

Status SetSecret(Session& session, const ConfigArgs& args) {
  ASSIGN_OR_RETURN(auto secrets, OpenSecrets(session));
  ASSIGN_OR_RETURN(const auto alias, AliasOf(session, args.dataset));
  ASSIGN_OR_RETURN(const auto value, ReadSecret());
  RETURN_IF_ERROR(secrets.Set(alias, args.key, value));
  session.Say("Set secret {}", args.key);
  return {};
}

Status RemoveSecret(Session& session, const ConfigArgs& args) {
  ASSIGN_OR_RETURN(auto secrets, OpenSecrets(session));
  ASSIGN_OR_RETURN(const auto alias, AliasOf(session, args.dataset));
  ASSIGN_OR_RETURN(const bool removed, secrets.Remove(alias, args.key));
  if (!removed) return NotFound("there is no secret '{}'", args.key);
  session.Say("Removed secret {}", args.key);
  return {};
}

Status ListSecrets(Session& session, const ConfigArgs& args) {
  ASSIGN_OR_RETURN(const auto secrets, OpenSecrets(session));
  ASSIGN_OR_RETURN(const auto format, session.FormatOrDefault(args.format));
  RowTable table;
  table.Text("Name").Text("Dataset");
  for (const auto& name : secrets.Names())
    table.Add({name.name, name.alias.empty() ? RowTable::Cell() : RowTable::Cell(name.alias)});
  return table.Print(session, format);
}

using Act = Status (*)(Session&, const ConfigArgs&);

CLI::App* AddAct(Commands& commands, CLI::App* parent, const std::shared_ptr<ConfigArgs>& args,
                 const std::string& name, const std::string& summary, const std::string& example, Act act) {
  return commands.Add(
      name, summary, example, [args, act](Session& session) { return act(session, *args); }, parent);
}

}  // namespace

void AddConfig(Commands& commands) {
  auto args = std::make_shared<ConfigArgs>();
  auto* parent = commands.Add("config", "Settings and variables of the workspace",
                              "sluice config set source.http.maxRetries 5", nullptr);
  parent->require_subcommand(1);
  auto* list = AddAct(commands, parent, args, "list", "All keys, their values and meanings",
                      "sluice config list -o table", &ListConfig);
  list->add_option("-o,--output-format", args->format, "table, csv, json, ndjson, json-soa, json-aoa");
  auto add_key = [&](CLI::App* command) {
    command->add_option("key", args->key, "A key of 'config list', or variables.NAME")->required();
    command->add_option("-d,--dataset", args->dataset, "The variable of this dataset");
  };
  add_key(AddAct(commands, parent, args, "get", "Print a value", "sluice config get source.http.userAgent",
                 &GetConfig));
  auto* set = AddAct(commands, parent, args, "set", "Set a value", "sluice config set variables.region eu",
                     &SetConfig);
  add_key(set);
  set->add_option("value", args->value, "The value")->required();
  add_key(AddAct(commands, parent, args, "unset", "Back to the default",
                 "sluice config unset source.http.proxy", &UnsetConfig));
}

void AddSecrets(Commands& commands) {
  auto args = std::make_shared<ConfigArgs>();
  auto* parent = commands.Add("secrets", "Encrypted variables for templates; never printed",
                              "sluice secrets set API_KEY < key.txt", nullptr);
  parent->require_subcommand(1);
  auto add_name = [&](CLI::App* command) {
    command->add_option("name", args->key, "As in ${{ env.NAME }}")->required();
    command->add_option("-d,--dataset", args->dataset, "For this dataset alone");
  };
  add_name(AddAct(commands, parent, args, "set", "Keep a secret, read from standard input",
                  "sluice secrets set API_KEY < key.txt", &SetSecret));
  add_name(AddAct(commands, parent, args, "remove", "Forget a secret", "sluice secrets remove API_KEY",
                  &RemoveSecret));
  auto* list =
      AddAct(commands, parent, args, "list", "Names of the secrets", "sluice secrets list", &ListSecrets);
  list->add_option("-o,--output-format", args->format, "table, csv, json, ndjson, json-soa, json-aoa");
}

}  // namespace sluice::cli

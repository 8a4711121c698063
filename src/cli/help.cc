#include "cli/help.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "base/names.h"

namespace sluice::cli {
namespace {

using Metavar = std::pair<std::string_view, std::string_view>;
constexpr std::array kMetavars = {
    Metavar{"command", "QUERY"},       Metavar{"contains", "HASH|FILE"},   Metavar{"event-time", "TIME"},
    Metavar{"filter", "KINDS"},        Metavar{"if-state", "STATE"},       Metavar{"input-format", "FORMAT"},
    Metavar{"name", "NAME"},           Metavar{"output-format", "FORMAT"}, Metavar{"output-path", "PATH"},
    Metavar{"rejects", "FILE"},        Metavar{"script", "FILE"},          Metavar{"source-name", "NAME"},
    Metavar{"state", "STATE"},         Metavar{"state-kind", "KIND"},      Metavar{"lock-timeout", "SECONDS"},
    Metavar{"timeout", "SECONDS"},     Metavar{"memory-mib", "MIB"},       Metavar{"memory-limit-mib", "MIB"},
    Metavar{"max-slice-size", "BYTES"}};

// Flags have no type.
bool TakesValue(const CLI::Option& option) { return !option.get_type_name().empty(); }

std::string ValueName(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  if (const auto set = type.find('{'); set != std::string::npos && option.get_name() != "--output-format")
    return type.substr(set);
  for (const auto& name : option.get_lnames()) {
    const auto* found = std::find_if(kMetavars.begin(), kMetavars.end(),
                                     [&](const Metavar& row) { return row.first == name; });
    if (found != kMetavars.end()) return std::string(found->second);
  }
  return type.find("INT") != std::string::npos ? "N" : "TEXT";
}

class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    if (!option->nonpositional())
      return option->get_expected_max() == CLI::detail::expected_max_vector_size ? "..." : "";
    return TakesValue(*option) ? " " + ValueName(*option) : "";
  }
};

const CLI::App* FindCommand(const CLI::App& parent, const std::string& word) {
  for (const auto* command : parent.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->check_name(word)) return command;
  }
  return nullptr;
}

// Options that people bring along from kamu and that would mean nothing here, each with what to do instead.
using Elsewhere = std::pair<std::string_view, std::string_view>;
constexpr std::array kElsewhere = {
    Elsewhere{"--trace",
              "a command keeps no trace of itself: --metrics tells what it cost, 'perf record sluice "
              "...' where its time went"},
    Elsewhere{"--show-error-stack-trace",
              "an error names its dataset, file, record and column in its message; -v adds its kind"},
    Elsewhere{"--account",
              "a workspace has one user: the datasets of an account are named 'ACCOUNT/NAME', and a node's "
              "clients have tokens ('sluice token create --account ACCOUNT')"},
    Elsewhere{"--multi-tenant",
              "every workspace takes datasets of several accounts: name them 'ACCOUNT/NAME'"},
    Elsewhere{"--pull-images", "the engine is inside the program: there are no images to pull"}};

std::string_view InsteadOf(std::string_view option) {
  const auto* found = std::find_if(kElsewhere.begin(), kElsewhere.end(),
                                   [&](const Elsewhere& row) { return row.first == option; });
  return found == kElsewhere.end() ? "" : found->second;
}

// The commands that a line names, as far as they are known, and the words that nothing explains.
struct Words {
  const CLI::App* command;
  std::string title = "sluice";
  std::string unknown_command;
  std::string unknown_option;
};

std::vector<const CLI::App*> OptionOwners(const CLI::App& app, const CLI::App* command) {
  std::vector<const CLI::App*> owners{command};
  for (const auto* parent = command->get_parent(); parent != nullptr; parent = parent->get_parent())
    owners.push_back(parent);
  if (owners.back() != &app) owners.push_back(&app);
  return owners;
}

const CLI::Option* FindOption(const CLI::App& app, const CLI::App* command, const std::string& name) {
  for (const auto* owner : OptionOwners(app, command)) {
    if (const auto* option = owner->get_option_no_throw(name)) return option;
  }
  return nullptr;
}

Words ReadWords(const CLI::App& app, int argc, char** argv) {
  Words words{&app};
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--") break;
    if (word.size() > 1 && word[0] == '-') {
      const std::string name = word.substr(0, word[1] == '-' ? word.find('=') : 2);
      const auto* option = FindOption(app, words.command, name);
      if (option == nullptr && words.unknown_option.empty()) words.unknown_option = name;
      if (option != nullptr && TakesValue(*option) && name == word) ++i;
      continue;
    }
    if (words.command->get_subcommands([](const CLI::App*) { return true; }).empty()) continue;
    const auto* command = FindCommand(*words.command, word);
    if (command == nullptr) {
      words.unknown_command = word;
      break;
    }
    words.command = command;
    words.title += " " + command->get_name();
  }
  return words;
}

std::vector<std::string> CommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* command :
       app.get_subcommands([](const CLI::App* it) { return !it->get_group().empty(); })) {
    names.push_back(command->get_name());
  }
  return names;
}

std::vector<std::string> OptionNames(const CLI::App& app, const CLI::App* command) {
  std::vector<std::string> names;
  for (const auto* owner : OptionOwners(app, command)) {
    for (const auto* option : owner->get_options()) {
      for (const auto& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return names;
}

std::string Hint(const std::string& word, const std::vector<std::string>& names) {
  const auto near = NearNames(word, names, 1);
  return near.empty() ? "" : fmt::format("; did you mean '{}'?", near.front());
}

}  // namespace

std::shared_ptr<CLI::Formatter> MakeHelpFormatter() {
  auto formatter = std::make_shared<HelpFormatter>();
  formatter->column_width(32);
  return formatter;
}

std::string ExplainUsageError(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  const Words words = ReadWords(app, argc, argv);
  const auto commands = CommandNames(*words.command);
  std::string text;
  // First: the value of an option that is not known looks like a command.
  if (const auto instead = InsteadOf(words.unknown_option); !instead.empty()) {
    text = fmt::format("there is no option '{}': {}", words.unknown_option, instead);
  } else if (!words.unknown_command.empty()) {
    text =
        fmt::format("unknown command '{}'{}", words.unknown_command, Hint(words.unknown_command, commands));
  } else if (!words.unknown_option.empty()) {
    text = fmt::format("'{}' has no option '{}'{}", words.title, words.unknown_option,
                       Hint(words.unknown_option, OptionNames(app, words.command)));
  } else if (!commands.empty()) {
    text = fmt::format("a command is needed after '{}': {}", words.title, JoinNames(commands));
  } else {
    text = error.what();
  }
  return fmt::format("Error: {}\nRun '{} --help' for {}.\n", text, words.title,
                     commands.empty() ? "its options" : "the commands");
}

}  // namespace sluice::cli

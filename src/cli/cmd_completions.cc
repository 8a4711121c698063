// Completion scripts for shells, generated from the commands themselves.
#include "cli/commands.h"
#include "cli/usage.h"

namespace sluice::cli {
namespace {

bool Shown(const CLI::App* command) { return !command->get_group().empty(); }
bool ShownOption(const CLI::Option* option) { return !option->get_group().empty(); }

std::vector<std::string> NamesOf(const CLI::App& command) {
  std::vector<std::string> names = {command.get_name()};
  for (const auto& alias : command.get_aliases()) names.push_back(alias);
  return names;
}

// What can come next after a command, datasets and files aside.
std::string Words(const CLI::App& app) {
  std::string words;
  for (const auto* command : app.get_subcommands(Shown)) {
    for (const auto& name : NamesOf(*command)) words += name + " ";
  }
  for (const auto* option : app.get_options(ShownOption)) {
    for (const auto& name : option->get_lnames()) words += "--" + name + " ";
  }
  return words;
}

// The options before a command that take a value, as alternatives of a `case`.
std::string OptionsWithValue(const CLI::App& app) {
  std::string names;
  for (const auto* option : app.get_options(ShownOption)) {
    if (option->get_type_size_max() == 0 || option->get_positional()) continue;
    for (const auto& name : option->get_lnames()) names += (names.empty() ? "--" : "|--") + name;
    for (const auto& name : option->get_snames()) names += (names.empty() ? "-" : "|-") + name;
  }
  return names;
}

void AddCase(const std::string& path, const CLI::App& command, std::string* cases) {
  for (const auto* child : command.get_subcommands(Shown)) {
    for (const auto& name : NamesOf(*child)) AddCase(path + " " + name, *child, cases);
  }
  *cases += fmt::format("    '{0}'|'{0} '*) offered='{1}' ;;\n", path, Words(command));
}

// Of bash and zsh alike: what was typed so far, without options, decides which words can come.
std::string ChooseWords(const CLI::App& app, std::string_view typed) {
  std::string cases;
  for (const auto* command : app.get_subcommands(Shown)) {
    for (const auto& name : NamesOf(*command)) AddCase(" " + name, *command, &cases);
  }
  return fmt::format(
      "  for word in {}; do\n"
      "    if [[ -n $value ]]; then value=''; continue; fi\n"
      "    case \"$word\" in\n"
      "      {}) [[ -n $given ]] || value=1 ;;\n"
      "      -*) ;;\n"
      "      *) given=\"$given $word\" ;;\n"
      "    esac\n"
      "  done\n"
      "  case \"$given\" in\n"
      "{}"
      "    *) offered='{}' ;;\n"
      "  esac\n",
      typed, OptionsWithValue(app), cases, Words(app));
}

constexpr std::string_view kDatasets = "sluice list -o csv 2>/dev/null | tail -n +2 | cut -d, -f1";

std::string Bash(const CLI::App& app) {
  return "# bash completion for sluice; put it where your shell looks, or: source <(sluice completions bash)\n"
         "_sluice() {\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} given='' word value='' offered=''\n" +
         ChooseWords(app, "\"${COMP_WORDS[@]:1:COMP_CWORD-1}\"") +
         fmt::format("  [[ $cur == -* || $given == '' ]] || offered=\"$offered $({})\"\n", kDatasets) +
         "  mapfile -t COMPREPLY < <(compgen -W \"$offered\" -- \"$cur\"; "
         "[[ $cur == -* || $given == '' ]] || compgen -f -- \"$cur\")\n"
         "}\n"
         "complete -o filenames -F _sluice sluice\n";
}

std::string Zsh(const CLI::App& app) {
  return "#compdef sluice\n"
         "# zsh completion for sluice; put it into a folder of $fpath as _sluice, or: source <(sluice completions zsh)\n"
         "_sluice() {\n"
         "  local cur=${words[CURRENT]} given='' word value='' typed\n"
         "  typed=(\"${(@)words[2,CURRENT-1]}\")\n"
         "  local offered=''\n" +
         ChooseWords(app, "\"${typed[@]}\"") +
         fmt::format("  [[ $cur == -* || $given == '' ]] || offered=\"$offered $({})\"\n", kDatasets) +
         "  compadd -- ${=offered}\n"
         "  [[ $cur == -* || $given == '' ]] || _files\n"
         "}\n"
         "if [[ ${funcstack[1]} == _sluice ]]; then\n"
         "  _sluice \"$@\"\n"
         "else\n"
         "  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }\n"
         "  compdef _sluice sluice\n"
         "fi\n";
}

std::string FishQuoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

std::string Joined(const std::vector<std::string>& names) {
  std::string joined;
  for (const auto& name : names) joined += (joined.empty() ? "" : " ") + name;
  return joined;
}

// The options of a command, the commands below it, and theirs.
void AddFish(const CLI::App& command, const std::string& condition, std::string* script) {
  for (const auto* option : command.get_options(ShownOption)) {
    for (const auto& name : option->get_lnames()) {
      *script +=
          fmt::format("complete -c sluice -n {} -l {}{} -d {}\n", FishQuoted(condition), name,
                      option->get_type_size_max() == 0 ? "" : " -r", FishQuoted(option->get_description()));
    }
  }
  std::string all;
  for (const auto* child : command.get_subcommands(Shown)) all += Joined(NamesOf(*child)) + " ";
  for (const auto* child : command.get_subcommands(Shown)) {
    for (const auto& name : NamesOf(*child)) {
      *script += fmt::format("complete -c sluice -n {} -f -a {} -d {}\n",
                             FishQuoted(condition + "; and not __fish_seen_subcommand_from " + all), name,
                             FishQuoted(child->get_description()));
    }
    AddFish(*child, condition + "; and __fish_seen_subcommand_from " + Joined(NamesOf(*child)), script);
  }
}

std::string Fish(const CLI::App& app) {
  std::string script = "# fish completion for sluice; put it into ~/.config/fish/completions/sluice.fish\n";
  AddFish(app, "true", &script);
  return script + fmt::format("complete -c sluice -n 'not __fish_use_subcommand' -a {}\n",
                              FishQuoted(fmt::format("({})", kDatasets)));
}

}  // namespace

void AddCompletions(Commands& commands) {
  auto shell = std::make_shared<std::string>();
  auto* command =
      commands.Add("completions", "Print completions for a shell", "source <(sluice completions bash)",
                   [shell, &commands](Session& session) -> Status {
                     if (*shell == "zsh") return session.Out(Zsh(commands.app()));
                     if (*shell == "fish") return session.Out(Fish(commands.app()));
                     return session.Out(Bash(commands.app()));
                   });
  command->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
}

}  // namespace sluice::cli

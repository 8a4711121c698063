#include "cli/commands.h"
#include "cli/usage.h"

namespace sluice::cli {
namespace {

bool Shown(const CLI::App* command) { return !command->get_group().empty(); }
bool ShownOption(const CLI::Option* option) { return !option->get_group().empty(); }

std::string Words(const CLI::App& app) {
  std::string words;
  for (const auto* command : app.get_subcommands(Shown)) words += command->get_name() + " ";
  for (const auto* option : app.get_options(ShownOption)) {
    for (const auto& name : option->get_lnames()) words += "--" + name + " ";
  }
  return words;
}

std::string Bash(const CLI::App& app) {
  std::string script =
      "# bash completion for sluice; put it where your shell looks, or: source <(sluice completions bash)\n"
      "_sluice() {\n"
      "  local cur=${COMP_WORDS[COMP_CWORD]} path='' word words=''\n"
      "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do [[ $word == -* ]] || path=\"$path $word\"; done\n"
      "  case \"$path\" in\n";
  for (const auto* command : app.get_subcommands(Shown)) {
    for (const auto* child : command->get_subcommands(Shown)) {
      script += fmt::format("    ' {} {}'*) words='{}' ;;\n", command->get_name(), child->get_name(),
                            Words(*child));
    }
    script += fmt::format("    ' {}'*) words='{}' ;;\n", command->get_name(), Words(*command));
  }
  script += fmt::format("    *) words='{}' ;;\n", Words(app));
  return script +
         "  esac\n"
         "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\"; [[ $cur == -* || $path == '' ]] || compgen -f -- \"$cur\")\n"
         "}\n"
         "complete -F _sluice sluice\n";
}

std::string Zsh(const CLI::App& app) {
  return "#compdef sluice\nautoload -U +X bashcompinit && bashcompinit\n" + Bash(app);
}

std::string Fish(const CLI::App& app) {
  std::string script = "# fish completion for sluice\n";
  for (const auto* command : app.get_subcommands(Shown)) {
    script += fmt::format("complete -c sluice -n __fish_use_subcommand -a {} -d '{}'\n", command->get_name(),
                          command->get_description());
    for (const auto* option : command->get_options(ShownOption)) {
      for (const auto& name : option->get_lnames()) {
        script += fmt::format("complete -c sluice -n '__fish_seen_subcommand_from {}' -l {}\n",
                              command->get_name(), name);
      }
    }
  }
  return script;
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

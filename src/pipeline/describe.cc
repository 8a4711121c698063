#include "pipeline/describe.h"

#include <algorithm>

#include "base/names.h"
#include "pipeline/settings_reader.h"

namespace sluice::pipeline {
namespace {

std::string Default(const Option& option) {
  if (option.is_required) return "required";
  if (option.default_text.empty()) return "";
  return option.is_sensitive ? "default: set" : "default: " + option.default_text;
}

std::string Cell(std::string_view text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|') cell += '\\';
    cell += c == '\n' ? ' ' : c;
  }
  return cell;
}

std::string Notes(const Option& option) {
  std::string notes = option.description;
  if (!option.allowed.empty()) notes += fmt::format(" ({})", JoinNames(option.allowed, " | "));
  if (option.is_sensitive) notes += "; secret: never shown";
  if (option.may_name_fields) notes += "; may hold `${{ record.FIELD }}`";
  return notes;
}

std::string Wrapped(std::string_view text, size_t indent, size_t width) {
  std::string out;
  size_t column = 0;
  while (!text.empty()) {
    const size_t space = std::min(text.find(' '), text.size());
    const auto word = text.substr(0, space);
    if (column > 0 && column + 1 + word.size() > width) {
      out += '\n' + std::string(indent, ' ');
      column = 0;
    }
    if (column > 0) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  return out;
}

std::string OptionsTable(const std::vector<Option>& options) {
  std::string text = "| option | type | default | meaning |\n|---|---|---|---|\n";
  for (const auto& option : options) {
    const std::string fallback = option.is_required ? "**required**"
                                 : option.default_text.empty()
                                     ? ""
                                     : fmt::format("`{}`", Cell(option.default_text));
    text += fmt::format("| `{}` | {} | {} | {} |\n", option.name, NameOf(option.type), fallback,
                        Cell(Notes(option)));
  }
  return text;
}

std::string Indented(std::string_view text, std::string_view first, std::string_view rest) {
  std::string out;
  bool is_first = true;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    out += is_first ? first : rest;
    out += text.substr(0, end);
    out += '\n';
    is_first = false;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

}  // namespace

std::string_view NameOf(ConnectorKind kind) {
  static constexpr std::string_view kNames[] = {"ingestor", "processor", "writer"};
  return kNames[static_cast<size_t>(kind)];
}
std::string_view NameOf(Tier tier) {
  static constexpr std::string_view kNames[] = {"stable", "beta", "experimental"};
  return kNames[static_cast<size_t>(tier)];
}
std::string_view NameOf(Guarantee guarantee) {
  static constexpr std::string_view kNames[] = {"none", "at least once", "idempotent", "exactly once"};
  return kNames[static_cast<size_t>(guarantee)];
}
std::string_view NameOf(OptionType type) {
  static constexpr std::string_view kNames[] = {"text",      "integer", "number", "boolean",
                                                "duration",  "bytes",   "texts",  "map of texts",
                                                "structure", "writer",  "writers"};
  return kNames[static_cast<size_t>(type)];
}

std::string DescribeAsText(const Declaration& declaration) {
  std::string text =
      fmt::format("{} {}: {}\n", NameOf(declaration.kind), declaration.type, declaration.summary);
  text += fmt::format("  tier       {}\n", NameOf(declaration.tier));
  if (declaration.kind != ConnectorKind::kProcessor) {
    text += fmt::format("  guarantee  {}\n             {}\n", NameOf(declaration.guarantee),
                        Wrapped(declaration.guarantee_text, 13, 85));
  }
  if (declaration.has_positions) text += "  positions  kept: after a restart it goes on where it ended\n";
  if (!declaration.options.empty()) text += "  options\n";
  for (const auto& option : declaration.options) {
    const std::string fallback = Default(option);
    text += fmt::format("    {} ({}{}{})\n        {}\n", option.name, NameOf(option.type),
                        fallback.empty() ? "" : ", ", fallback, Wrapped(Notes(option), 8, 90));
  }
  if (!declaration.example.empty()) text += "  example\n" + Indented(declaration.example, "    ", "    ");
  return text;
}

std::string DescribeAsMarkdown(const std::string& type, const std::vector<const Declaration*>& declarations) {
  std::string text = fmt::format(
      "# {}\n\nGenerated from the connector's own declaration by `tools/gen-docs`; a test holds this page and the "
      "program together.\n",
      type);
  for (const auto* one : declarations) {
    if (one->type != type) continue;
    text += fmt::format("\n## {} `{}`\n\n{}.\n\n", NameOf(one->kind), type, one->summary);
    text += fmt::format("Tier: {}.", NameOf(one->tier));
    if (one->kind != ConnectorKind::kProcessor)
      text += fmt::format(" Guarantee: **{}**. {}", NameOf(one->guarantee), one->guarantee_text);
    if (one->has_positions) text += " Its position is kept: after a restart it goes on where it ended.";
    text += "\n\n";
    text += one->options.empty() ? "It has no options.\n" : OptionsTable(one->options);
    if (!one->example.empty()) text += fmt::format("\n```yaml\n{}```\n", one->example);
  }
  return text;
}

std::string DescribeAllAsMarkdown(const std::vector<const Declaration*>& declarations) {
  std::string text =
      "# Connectors\n\nGenerated from the connectors' own declarations by `tools/gen-docs`; a test holds this page and "
      "the program together. How a pipeline is written: [pipelines.md](../pipelines.md).\n\n"
      "| kind | type | what it does | tier | guarantee |\n|---|---|---|---|---|\n";
  for (const auto* one : declarations) {
    text += fmt::format("| {} | [{}]({}.md) | {} | {} | {} |\n", NameOf(one->kind), one->type, one->type,
                        Cell(one->summary), NameOf(one->tier),
                        one->kind == ConnectorKind::kProcessor ? "" : NameOf(one->guarantee));
  }
  text += "\n## Options of a pipeline itself\n";
  for (const auto& group : PipelineOptionGroups())
    text += fmt::format("\n### `{}`\n\n{}.\n\n{}", group.name, group.summary, OptionsTable(*group.options));
  text +=
      fmt::format("\n### Entries of a list of writers (`fan_out`)\n\nBeside the writer's own options:\n\n{}",
                  OptionsTable(BranchOptions()));
  return text;
}

Result<std::string> DraftPipeline(const Registry& registry, const std::string& name, const std::string& from,
                                  const std::string& to) {
  ASSIGN_OR_RETURN(const auto* ingestor, registry.Find(ConnectorKind::kIngestor, from));
  ASSIGN_OR_RETURN(const auto* writer, registry.Find(ConnectorKind::kWriter, to));
  const auto options = [](const Declaration& declaration, std::string_view indent) {
    std::string text;
    for (const auto& option : declaration.options) {
      if (option.type >= OptionType::kTextMap) continue;
      if (declaration.example.find(option.name + ":") != std::string::npos) continue;
      std::string what = option.description;
      if (!option.allowed.empty()) what += fmt::format(" ({})", JoinNames(option.allowed, " | "));
      text += fmt::format("{}# {}: {}  # {}\n", indent, option.name,
                          option.default_text.empty() ? "..." : option.default_text, what);
    }
    return text;
  };
  std::string text = fmt::format(
      "# Pipeline '{}': from {} to {}.\n"
      "# Check it: sluice pipeline check FILE    Run it: sluice run FILE\n"
      "# What each connector can do: sluice connectors show {}\n"
      "name: {}\n\ningestors:\n  # {}.\n{}{}",
      name, from, to, from, name, ingestor->summary, Indented(ingestor->example, "  - ", "    "),
      options(*ingestor, "    "));
  text +=
      "\n# Change, drop or check records on their way: sluice connectors list\n# processors:\n#   - type: ...\n";
  text += fmt::format("\n# {}.\nwriter:\n{}{}", writer->summary, Indented(writer->example, "  ", "  "),
                      options(*writer, "  "));
  text +=
      "\n# Failed records are tried again; then the sender is told.\n"
      "retry: {attempts: 10, backoff: exponential, initial: 200ms, max: 30s}\n"
      "\n# Records that can never succeed, with the reason. Send them again: sluice pipeline replay FILE DEAD_LETTERS\n"
      "dead_letter: {type: file, path: var/dead/" +
      name +
      ".ndjson}\n"
      "\n# Acknowledge when records are durable here, and let the writer follow:\n# spool: {path: var/spool, max_size: "
      "1GiB}\n";
  return text;
}

}  // namespace sluice::pipeline

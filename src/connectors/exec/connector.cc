#include "connectors/exec/connector.h"

#include <charconv>
#include <filesystem>

#include "connectors/exec/processor.h"
#include "pipeline/registry.h"
#include "pipeline/settings.h"

namespace sluice::connectors {
namespace {

using exec::ExecOptions;
using exec::MakePerBatch;
using exec::MakePerRecord;

using pipeline::OptionType;

Result<std::unique_ptr<pipeline::Processor>> Make(const pipeline::Settings& settings,
                                                  pipeline::Environment& environment) {
  ExecOptions options;
  options.child.command = settings.texts("command");
  if (options.child.command.empty() || options.child.command[0].empty())
    return settings.Complain("command", "a program is missing");
  std::string& program = options.child.command[0];
  // Absolute, because it is looked for from the folder that it runs in.
  if (program.find('/') != std::string::npos)
    program = std::filesystem::absolute(environment.Resolve(program)).lexically_normal().string();
  options.child.folder = environment.Resolve(settings.text("folder"));
  std::error_code error;
  if (!std::filesystem::is_directory(options.child.folder, error))
    return settings.Complain("folder", fmt::format("'{}' is no folder", options.child.folder));
  options.child.variables = settings.text_map("variables");
  options.child.max_line_bytes = settings.bytes("max_line");
  if (options.child.max_line_bytes == 0) return settings.Complain("max_line", "no record fits into 0 bytes");
  options.child.on_error_line = [&environment,
                                 name = program.substr(program.rfind('/') + 1)](std::string_view line) {
    environment.Note(fmt::format("{}: {}", name, line));
  };
  options.timeout = settings.duration("timeout");
  if (options.timeout.count() <= 0) return settings.Complain("timeout", "a time limit is more than 0");
  const bool is_per_batch = settings.text("mode") == "per_batch";
  if (settings.has("exit_codes")) {
    if (!is_per_batch) return settings.Complain("exit_codes", "only mode 'per_batch' looks at them");
    options.exit_codes.clear();
    for (const std::string& text : settings.texts("exit_codes")) {
      int code = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), code);
      if (error != std::errc() || end != text.data() + text.size() || code < 0 || code > 255)
        return settings.Complain("exit_codes", fmt::format("'{}' is no exit code, 0 to 255", text));
      options.exit_codes.insert(code);
    }
  }
  return is_per_batch ? MakePerBatch(std::move(options)) : MakePerRecord(std::move(options));
}

}  // namespace

void RegisterExec(pipeline::Registry& registry) {
  pipeline::Declaration d;
  d.kind = pipeline::ConnectorKind::kProcessor;
  d.type = "exec";
  d.summary = "Hands records to a program of your own, as NDJSON, and takes back what it makes of them";
  d.tier = pipeline::Tier::kStable;
  d.guarantee_text =
      "A record counts as done when what the program made of it is written. A program that ends is started "
      "again with what it had not answered, so it may see a record twice.";
  d.options = {
      {.name = "command",
       .type = OptionType::kTexts,
       .description =
           "The program and its arguments; no shell. A path is meant from the configuration's folder",
       .is_required = true},
      {.name = "mode",
       .description =
           "per_record: lives on and answers each line with one line, in order: the record, an empty line "
           "to drop it, {\"$reject\": \"reason\"} to refuse it. per_batch: is run for each batch and gives "
           "any number of records",
       .default_text = "per_record",
       .allowed = {"per_record", "per_batch"}},
      {.name = "timeout",
       .type = OptionType::kDuration,
       .description = "Time for a batch; then the program is killed",
       .default_text = "30s"},
      {.name = "folder", .description = "Where it runs", .default_text = "."},
      {.name = "variables",
       .type = OptionType::kTextMap,
       .description = "Environment variables beside those of this process",
       .is_sensitive = true},
      {.name = "exit_codes",
       .type = OptionType::kTexts,
       .description = "Of mode per_batch: codes that say that all went well; none = 0 alone"},
      {.name = "max_line",
       .type = OptionType::kBytes,
       .description = "Longest line that it may answer with",
       .default_text = "16MiB"},
  };
  d.example = "type: exec\ncommand: [./enrich.py]\n";
  registry.Add(std::move(d), [](const pipeline::Settings& settings, pipeline::Environment& environment) {
    return Make(settings, environment);
  });
}

}  // namespace sluice::connectors

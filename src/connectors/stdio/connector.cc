#include "connectors/stdio/connector.h"

#include "connectors/stdio/stdio_internal.h"
#include "pipeline/registry.h"
#include "pipeline/text_records.h"

namespace sluice::connectors {

using pipeline::Declaration;
using pipeline::Guarantee;
using pipeline::Tier;

void RegisterStdio(pipeline::Registry& registry) {
  Declaration input;
  input.type = "stdio";
  input.summary = "Reads records from standard input until it ends";
  input.tier = Tier::kStable;
  input.guarantee = Guarantee::kNone;
  input.guarantee_text =
      "What was read and not written when the process dies is lost: standard input cannot be read again. "
      "While it runs, failed records are tried again.";
  input.options = pipeline::TextOptionDeclarations();
  input.example = "type: stdio\nformat: ndjson\n";
  registry.Add(std::move(input), MakeStdinIngestor);

  Declaration output;
  output.type = "stdio";
  output.summary = "Writes records to standard output";
  output.tier = Tier::kStable;
  output.guarantee = Guarantee::kAtLeastOnce;
  output.guarantee_text =
      "A record is accepted when the operating system has taken it; a repeat is written again.";
  output.options = {{.name = "format",
                     .description = "One JSON object a line, or over several lines for people",
                     .default_text = "ndjson",
                     .allowed = {"ndjson", "pretty"}}};
  output.example = "type: stdio\nformat: pretty\n";
  registry.Add(std::move(output), MakeStdoutWriter);
}

}  // namespace sluice::connectors

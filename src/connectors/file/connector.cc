#include "connectors/file/connector.h"

#include "connectors/file/file_internal.h"
#include "pipeline/registry.h"
#include "pipeline/text_records.h"

namespace sluice::connectors {

using pipeline::Declaration;
using pipeline::Guarantee;
using pipeline::OptionType;
using pipeline::Tier;

void RegisterFile(pipeline::Registry& registry) {
  Declaration input;
  input.type = "file";
  input.summary = "Reads records from a file, once or as it grows";
  input.tier = Tier::kStable;
  input.guarantee = Guarantee::kAtLeastOnce;
  input.guarantee_text =
      "The place in the file moves on when the records before it are done, and is kept by the pipeline, or by "
      "a writer that commits it with the data: then exactly once. After a crash the records since the last "
      "place are read again; give them a uuid of their own, or identifiers that the writer knows.";
  input.has_positions = true;
  input.options = {
      {.name = "path", .description = "The file, relative to the pipeline's", .is_required = true},
      {.name = "follow",
       .type = OptionType::kBoolean,
       .description = "Wait for more at the end, also for a new file under the same name",
       .default_text = "false"},
      {.name = "poll",
       .type = OptionType::kDuration,
       .description = "With follow: how often to look",
       .default_text = "200ms"},
      {.name = "start",
       .description = "With follow: where to begin a file that was never read",
       .default_text = "beginning",
       .allowed = {"beginning", "end"}},
  };
  for (auto& option : pipeline::TextOptionDeclarations()) input.options.push_back(std::move(option));
  input.example = "type: file\npath: feedback.ndjson\nfollow: true\n";
  registry.Add(std::move(input), MakeFileIngestor);

  Declaration output;
  output.type = "file";
  output.summary = "Appends records to a file";
  output.tier = Tier::kStable;
  output.guarantee = Guarantee::kAtLeastOnce;
  output.guarantee_text =
      "A record is accepted when the file is synced to disk, unless sync is off; a repeat is written again. What a crash left of a record is removed before the next.";
  output.options = {{.name = "path",
                     .description = "The file, relative to the pipeline's; made when missing",
                     .is_required = true},
                    {.name = "format",
                     .description = "One JSON object a line, or over several lines for people",
                     .default_text = "ndjson",
                     .allowed = {"ndjson", "pretty"}},
                    {.name = "sync",
                     .type = OptionType::kBoolean,
                     .description = "Sync to disk before a batch is accepted",
                     .default_text = "true"}};
  output.example = "type: file\npath: var/feedback.ndjson\n";
  registry.Add(std::move(output), MakeFileWriter);
}

}  // namespace sluice::connectors

#include "connectors/odf/connector.h"

#include "connectors/odf/odf_internal.h"
#include "pipeline/registry.h"

namespace sluice::connectors {

using pipeline::Declaration;
using pipeline::Guarantee;
using pipeline::OptionType;
using pipeline::Tier;

void RegisterOdf(pipeline::Registry& registry) {
  Declaration output;
  output.kind = pipeline::ConnectorKind::kWriter;
  output.type = "odf";
  output.summary = "Pushes records into Open Data Fabric datasets of a node";
  output.tier = Tier::kBeta;
  output.guarantee = Guarantee::kExactlyOnce;
  output.guarantee_text =
      "From an upstream with positions each batch is committed together with the position behind it, by "
      "compare-and-set: exactly once through any crash. Other records have a key a batch, so that repeating "
      "one that the node did not answer adds nothing, as long as this process lives. What comes again after "
      "an answer, or after a crash or restart, is pushed as something new, and the dataset's merge strategy "
      "decides: a Ledger with primary key uuid adds nothing, an UpsertStream takes the latest, and Append "
      "adds it.";
  output.options = {
      {.name = "dataset",
       .description = "The dataset's name, such as feedback or ${{ record.tenant_id }}.feedback",
       .is_required = true,
       .may_name_fields = true},
      {.name = "source",
       .description = "The push source; needed where a dataset has several",
       .default_text = ""},
      {.name = "node",
       .description = "URL of the node; else the one that runs in the workspace of the pipeline's folder"},
      {.name = "token", .description = "Token of the node", .is_sensitive = true},
      {.name = "ca_file", .description = "Certificates to trust instead of the system's"},
      {.name = "template",
       .description = "Manifest that missing datasets are made from; its name is written as ${{ dataset }}"},
      {.name = "timeout",
       .type = OptionType::kDuration,
       .description = "For one batch",
       .default_text = "60s"},
      {.name = "idle_state",
       .type = OptionType::kDuration,
       .description = "A dataset without new records gets the position alone after this time",
       .default_text = "5m"},
  };
  output.example = "type: odf\ndataset: feedback\nnode: http://127.0.0.1:8080\n";
  registry.Add(std::move(output),
               [keys = std::make_shared<odf::BatchKeys>()](const auto& settings, auto& environment) {
                 return odf::MakeOdfWriter(settings, environment, keys);
               });
}

}  // namespace sluice::connectors

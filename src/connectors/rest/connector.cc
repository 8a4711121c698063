#include "connectors/rest/connector.h"

#include "connectors/rest/ingestor.h"
#include "connectors/rest/options.h"
#include "pipeline/registry.h"
#include "pipeline/settings.h"

namespace sluice::connectors {

void RegisterRest(pipeline::Registry& registry) {
  pipeline::Declaration d;
  d.kind = pipeline::ConnectorKind::kIngestor;
  d.type = "rest";
  d.summary = "Reads a list of a JSON API, again and again: what is new in it";
  d.tier = pipeline::Tier::kBeta;
  d.guarantee = pipeline::Guarantee::kAtLeastOnce;
  d.guarantee_text =
      "The mark of the last item moves on when the items before it are done, and is kept by the pipeline, or by a "
      "writer that commits it with the data: then exactly once. After a crash the items since the last mark come "
      "again; identifiers in data_id let the writer know them. An item that cannot be made a record goes to the dead "
      "letters; an answer that cannot be read is asked for again, and /readyz says so meanwhile.";
  d.has_positions = true;
  d.options = rest::RestOptionDeclarations();
  d.example = "type: rest\npreset: discourse\nurl: https://meta.discourse.org\ninterval: 60s\n";
  registry.Add(std::move(d),
               pipeline::Registry::Maker<pipeline::Ingestor>(
                   [](const pipeline::Settings& settings,
                      pipeline::Environment& environment) -> Result<std::unique_ptr<pipeline::Ingestor>> {
                     ASSIGN_OR_RETURN(auto options, rest::ReadRestOptions(settings, environment));
                     auto ingestor = rest::MakeRestIngestor(std::move(options), environment);
                     if (!ingestor.ok()) return settings.Complain("headers", ingestor.error().message());
                     return ingestor;
                   }));
}

}  // namespace sluice::connectors

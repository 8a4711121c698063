#include "connectors/rest/ingestor.h"

#include "connectors/rest/source.h"
#include "pipeline/environment.h"

namespace sluice::connectors::rest {

Result<std::unique_ptr<pipeline::Ingestor>> MakeRestIngestor(RestOptions options,
                                                             pipeline::Environment& environment) {
  auto source = std::make_unique<RestSource>(std::move(options), environment);
  RETURN_IF_ERROR(source->MakeClient());
  return pipeline::MakeFeedingIngestor("rest", std::move(source),
                                       [&environment](const std::string& line) { environment.Note(line); });
}

}  // namespace sluice::connectors::rest

#pragma once

#include <memory>

#include "pipeline/connector.h"
#include "pipeline/environment.h"
#include "pipeline/settings.h"

namespace sluice::connectors {

Result<std::unique_ptr<pipeline::Ingestor>> MakeFileIngestor(const pipeline::Settings& settings,
                                                             pipeline::Environment& environment);
Result<std::unique_ptr<pipeline::IngestionWriter>> MakeFileWriter(const pipeline::Settings& settings,
                                                                  pipeline::Environment& environment);

}  // namespace sluice::connectors

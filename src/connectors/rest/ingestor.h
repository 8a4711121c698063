#pragma once

#include <memory>

#include "connectors/rest/options.h"
#include "pipeline/connector.h"

namespace sluice::connectors::rest {

// Errors: kInvalidArgument naming the option.
Result<std::unique_ptr<pipeline::Ingestor>> MakeRestIngestor(RestOptions options,
                                                             pipeline::Environment& environment);

}  // namespace sluice::connectors::rest

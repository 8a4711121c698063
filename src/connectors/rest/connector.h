#pragma once

namespace sluice::pipeline {
class Registry;
}

namespace sluice::connectors {

// The ingestor `rest`.
void RegisterRest(pipeline::Registry& registry);

}  // namespace sluice::connectors

#pragma once

namespace sluice::pipeline {
class Registry;
}

namespace sluice::connectors {

// Made-up records, for demos and load.
void RegisterGenerate(pipeline::Registry& registry);

}  // namespace sluice::connectors

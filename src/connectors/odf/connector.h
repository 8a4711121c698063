#pragma once

namespace sluice::pipeline {
class Registry;
}

namespace sluice::connectors {

// Open Data Fabric datasets of a node: a writer (pipelines.md 4).
void RegisterOdf(pipeline::Registry& registry);

}  // namespace sluice::connectors

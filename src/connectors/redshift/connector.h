#pragma once

namespace sluice::pipeline {
class Registry;
}

namespace sluice::connectors {

// The `redshift` ingestion writer.
void RegisterRedshift(pipeline::Registry& registry);

}  // namespace sluice::connectors

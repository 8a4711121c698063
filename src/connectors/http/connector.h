#pragma once

namespace sluice::pipeline {
class Registry;
}

namespace sluice::connectors {

// The ingestor and the writer `http`.
void RegisterHttp(pipeline::Registry& registry);

}  // namespace sluice::connectors

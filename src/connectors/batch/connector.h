#pragma once

namespace sluice::pipeline {
class Registry;
}

namespace sluice::connectors {

// The processor `batch`.
void RegisterBatch(pipeline::Registry& registry);

}  // namespace sluice::connectors

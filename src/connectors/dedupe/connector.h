#pragma once

namespace sluice::pipeline {
class Registry;
}

namespace sluice::connectors {

// The processor `dedupe`.
void RegisterDedupe(pipeline::Registry& registry);

}  // namespace sluice::connectors

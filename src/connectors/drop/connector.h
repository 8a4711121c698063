#pragma once

namespace sluice::pipeline {
class Registry;
}

namespace sluice::connectors {

// The processor `drop`.
void RegisterDrop(pipeline::Registry& registry);

}  // namespace sluice::connectors

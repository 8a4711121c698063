#pragma once

namespace sluice::pipeline {
class Registry;
}

namespace sluice::connectors {

// The processor `match`.
void RegisterMatch(pipeline::Registry& registry);

}  // namespace sluice::connectors

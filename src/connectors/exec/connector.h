#pragma once

namespace sluice::pipeline {
class Registry;
}

namespace sluice::connectors {

// The processor `exec`.
void RegisterExec(pipeline::Registry& registry);

}  // namespace sluice::connectors

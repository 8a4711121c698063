#pragma once

namespace sluice::pipeline {
class Registry;
}

namespace sluice::connectors {

// The processor `redact`.
void RegisterRedact(pipeline::Registry& registry);

}  // namespace sluice::connectors

#pragma once

namespace sluice::pipeline {
class Registry;
}

namespace sluice::connectors {

// Standard input and output.
void RegisterStdio(pipeline::Registry& registry);

}  // namespace sluice::connectors

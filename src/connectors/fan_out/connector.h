#pragma once

namespace sluice::pipeline {
class Registry;
}

namespace sluice::connectors {

// One writer made of several.
void RegisterFanOut(pipeline::Registry& registry);

}  // namespace sluice::connectors

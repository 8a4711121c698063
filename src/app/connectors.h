#pragma once

namespace sluice::pipeline {
class Registry;
}

namespace sluice::app {

// Every connector of this program: one line each.
void RegisterConnectors(pipeline::Registry& registry);

}  // namespace sluice::app

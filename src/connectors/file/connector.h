#pragma once

namespace sluice::pipeline {
class Registry;
}

namespace sluice::connectors {

// Files, read once or followed, and written line by line.
void RegisterFile(pipeline::Registry& registry);

}  // namespace sluice::connectors

#pragma once

namespace sluice::pipeline {
class Registry;
}

namespace sluice::connectors {

// The processor `language`.
void RegisterLanguage(pipeline::Registry& registry);

}  // namespace sluice::connectors

#pragma once

namespace sluice::pipeline {
class Registry;
}

namespace sluice::connectors {

// The processor `sql`.
void RegisterSql(pipeline::Registry& registry);

}  // namespace sluice::connectors

#pragma once

namespace sluice::pipeline {
class Registry;
}

namespace sluice::connectors {

// The `postgres` ingestion writer.
void RegisterPostgres(pipeline::Registry& registry);

}  // namespace sluice::connectors

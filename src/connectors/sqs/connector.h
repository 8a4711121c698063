#pragma once

namespace sluice::pipeline {
class Registry;
}

namespace sluice::connectors {

// The `sqs` ingestor and ingestion writer.
void RegisterSqs(pipeline::Registry& registry);

}  // namespace sluice::connectors

#pragma once

#include <memory>

#include "connectors/sqs/queue.h"
#include "pipeline/connector.h"

namespace sluice::pipeline {
class Environment;
}

namespace sluice::connectors::sqs {

struct IngestorOptions {
  QueueOptions queue;
  int receivers = 4;
  std::chrono::seconds wait{20};
  std::chrono::seconds visibility{60};
  std::chrono::seconds retry_after{5};  // when a message that failed may be seen again
};
// `environment` outlives it.
std::unique_ptr<pipeline::Ingestor> MakeIngestor(IngestorOptions options, pipeline::Environment& environment);

struct WriterOptions {
  QueueOptions queue;
  int connections = 8;
  uint64_t max_message_bytes = 256 << 10;  // of a message, and of all of a call
  std::vector<int> group_by;               // columns whose values make the message group
};
std::unique_ptr<pipeline::IngestionWriter> MakeWriter(WriterOptions options);

}  // namespace sluice::connectors::sqs

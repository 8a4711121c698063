#pragma once

#include <memory>

#include "connectors/postgres/connection.h"
#include "connectors/postgres/target.h"
#include "pipeline/connector.h"

namespace sluice::connectors::postgres {

struct WriterOptions {
  ConnectOptions connect;
  TargetOptions target;
  int connections = 2;
};

// Stores records in a table that has two unique keys, `uuid` and (tenant_id, source_type, source_id, data_id)
// where data_id is not empty (pipelines.md 4, 5). A known record adds no row; with `updates` it replaces the
// stored one but for `uuid` and `created_at`. One record that the server refuses never fails the others.
std::unique_ptr<pipeline::IngestionWriter> MakeWriter(WriterOptions options);

}  // namespace sluice::connectors::postgres

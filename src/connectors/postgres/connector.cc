#include "connectors/postgres/connector.h"

#include "connectors/postgres/writer.h"
#include "pipeline/registry.h"
#include "pipeline/settings.h"

namespace sluice::connectors {
namespace {

using pipeline::Declaration;
using pipeline::Option;
using pipeline::OptionType;

constexpr int64_t kMaxConnections = 64;

Declaration Declare() {
  Declaration declaration;
  declaration.kind = pipeline::ConnectorKind::kWriter;
  declaration.type = "postgres";
  declaration.summary = "Stores records in a PostgreSQL table, each once";
  declaration.tier = pipeline::Tier::kStable;
  declaration.guarantee = pipeline::Guarantee::kIdempotent;
  declaration.guarantee_text =
      "A record with a stored uuid, or with a stored (tenant_id, source_type, source_id, data_id) where data_id is "
      "not empty, adds no row. Acknowledged when the server has committed durably; commits are made synchronous even "
      "where the server's default is not. What triggers, other constraints and row-level policies of the table keep "
      "out goes to the dead letters.";
  declaration.options = {
      {.name = "uri",
       .description =
           "Connection text of libpq, postgres://USER:PASSWORD@HOST:PORT/DATABASE; TLS with "
           "?sslmode=verify-full&sslrootcert=FILE. Needs a session of its own: no pooler that shares one "
           "between transactions",
       .is_required = true,
       .is_sensitive = true},
      {.name = "table", .description = "Name of the table, exactly as it is", .is_required = true},
      {.name = "schema",
       .description = "Schema of the table; found by the server's search path when it is not given"},
      {.name = "create_table",
       .type = OptionType::kBoolean,
       .description = "Makes the table when it is missing, and its unique indexes when those are",
       .default_text = "false"},
      {.name = "on_duplicate",
       .description =
           "What becomes of a stored record that comes again: skip it, or update the stored one, which "
           "keeps its uuid and created_at",
       .default_text = "skip",
       .allowed = {"skip", "update"}},
      {.name = "connections",
       .type = OptionType::kInteger,
       .description =
           "How many batches are written at a time, each on a connection of its own; one with on_duplicate: update, where the last of two records holds",
       .default_text = "2"},
      {.name = "timeout",
       .type = OptionType::kDuration,
       .description = "Time that one statement may take",
       .default_text = "30s"},
      {.name = "connect_timeout",
       .type = OptionType::kDuration,
       .description = "Time that connecting may take",
       .default_text = "10s"},
  };
  declaration.example =
      "type: postgres\n"
      "uri: ${{ env.DATABASE || 'postgres://localhost/feedback' }}\n"
      "table: feedback\n"
      "create_table: true\n";
  return declaration;
}

Result<std::unique_ptr<pipeline::IngestionWriter>> Make(const pipeline::Settings& settings,
                                                        pipeline::Environment&) {
  postgres::WriterOptions options;
  options.connect.uri = settings.text("uri");
  options.connect.timeout = settings.duration("timeout");
  options.connect.connect_timeout = settings.duration("connect_timeout");
  options.connect.origin = settings.Where("uri");
  options.target.table = settings.text("table");
  options.target.origin = settings.Where("table");
  options.target.schema = settings.text("schema");
  options.target.create_table = settings.boolean("create_table");
  options.target.updates = settings.text("on_duplicate") == "update";
  const int64_t connections = settings.integer("connections");
  if (options.target.table.empty()) return settings.Complain("table", "must not be empty");
  if (connections < 1 || connections > kMaxConnections)
    return settings.Complain("connections", fmt::format("must be 1 to {}", kMaxConnections));
  if (options.connect.timeout.count() < 1) return settings.Complain("timeout", "must be 1ms or more");
  options.connections = static_cast<int>(connections);
  return postgres::MakeWriter(std::move(options));
}

}  // namespace

void RegisterPostgres(pipeline::Registry& registry) {
  registry.Add(Declare(), pipeline::Registry::Maker<pipeline::IngestionWriter>(Make));
}

}  // namespace sluice::connectors

#include <arrow/type.h>

#include "cli/commands.h"
#include "cli/usage.h"
#include "columnar/parquet_schema_text.h"
#include "odf/yaml.h"
#include "workspace/query.h"

namespace sluice::cli {
namespace {

struct SchemaArgs {
  std::string dataset;
  std::string format = "odf-yaml";
};

Status Schema(Session& session, const SchemaArgs& args) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  ASSIGN_OR_RETURN(auto entry, workspace->Resolve(args.dataset));
  ASSIGN_OR_RETURN(auto dataset, workspace->Open(entry));
  const auto& schema = dataset->state().schema;
  if (!schema) {
    session.Warn("Warning: Dataset schema is not yet available: " + entry.alias);
    return {};
  }
  if (args.format == "odf-yaml") return session.Out(odf::ToYaml(*schema));
  if (args.format == "odf-json") return session.Out(odf::ToJson(*schema) + "\n");
  if (args.format == "ddl") return session.Out(odf::ToDdl(*schema) + "\n");
  ASSIGN_OR_RETURN(auto arrow_schema, workspace::ArrowSchemaOf(*dataset));
  if (args.format == "arrow-json") return session.Out(workspace::ArrowSchemaJson(*arrow_schema) + "\n");
  ASSIGN_OR_RETURN(auto text, columnar::DescribeParquetSchema(*arrow_schema, args.format == "parquet-json"));
  return session.Out(text);
}

}  // namespace

void AddInspect(Commands& commands) {
  auto* parent =
      commands.Add("inspect", "Look into a dataset", "sluice inspect schema river.gauges", nullptr);
  parent->require_subcommand(1);
  auto args = std::make_shared<SchemaArgs>();
  auto* schema = commands.Add(
      "schema", "The schema of a dataset's data", "sluice inspect schema river.gauges -o ddl",
      [args](Session& session) { return Schema(session, *args); }, parent);
  schema->add_option("dataset", args->dataset, "The dataset")->required();
  schema
      ->add_option("-o,--output-format", args->format,
                   "odf-yaml (default), odf-json, arrow-json, ddl, parquet, parquet-json")
      ->check(CLI::IsMember({"odf-yaml", "odf-json", "arrow-json", "ddl", "parquet", "parquet-json"}));
}

}  // namespace sluice::cli

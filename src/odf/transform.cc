#include "odf/yaml.h"

namespace sluice::odf {

Status NormalizeTransform(TransformSql* transform) {
  if (transform->query) {
    if (transform->queries) return InvalidArgument("a transform has either 'query' or 'queries', not both");
    transform->queries = std::vector<SqlQueryStep>{{std::nullopt, *std::move(transform->query)}};
    transform->query.reset();
  }
  if (!transform->queries || transform->queries->empty()) {
    return InvalidArgument("a transform needs a 'query' or at least one of 'queries'");
  }
  const auto& steps = *transform->queries;
  for (size_t i = 0; i + 1 < steps.size(); ++i) {
    if (!steps[i].alias) {
      return InvalidArgument(
          "query {} of {} needs an alias: only the last one, which is the result, has none", i + 1,
          steps.size());
    }
  }
  if (steps.back().alias) {
    return InvalidArgument("the last query is the result and has no alias, but it has '{}'",
                           *steps.back().alias);
  }
  return {};
}

Result<std::optional<DataSchema>> DeclaredSchema(const ReadStep& read) {
  if (read.schema && read.ddl_schema) {
    return InvalidArgument("read step {} has both 'schema' and 'ddlSchema'; one of them is enough",
                           NameOf(read.format));
  }
  if (read.schema) return read.schema;
  if (!read.ddl_schema) return std::optional<DataSchema>();
  ASSIGN_OR_RETURN(DataSchema schema, ParseDdlSchema(*read.ddl_schema));
  return std::optional<DataSchema>(std::move(schema));
}

}  // namespace sluice::odf

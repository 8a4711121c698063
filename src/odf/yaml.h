#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "odf/events.h"

// Manifests: YAML 1.2 documents `{kind, version, content}` (odf-metadata.md 5). Strict: an unknown field is
// an error naming the path, line and near names.
namespace sluice::odf {

struct HashedBlock {
  Multihash hash;
  MetadataBlock block;
};

using Manifest = std::variant<DatasetSnapshot, MetadataEvent, MetadataBlock>;

// All documents of `text`. `origin` names the file in errors. Errors: kInvalidArgument with line and path.
Result<std::vector<Manifest>> ParseManifests(std::string_view text, std::string_view origin);

// One event given as `{kind: ..., ...}` without an envelope.
Result<MetadataEvent> ParseEvent(std::string_view text, std::string_view origin);

std::string ToYaml(const DatasetSnapshot& snapshot);
std::string ToYaml(const MetadataEvent& event);  // as MetadataEvent manifest
std::string ToYaml(const MetadataBlock& block);  // as MetadataBlock manifest
// The schema object alone, as `inspect schema -o odf-yaml` prints it; and as JSON.
std::string ToYaml(const DataSchema& schema);
std::string ToJson(const DataSchema& schema);
// With the fields of the block's manifest.
std::string ToJson(const MetadataBlock& block);
Result<DataSchema> ParseSchemaJson(std::string_view json);

// Joins `query` into `queries` and checks aliases (odf-metadata.md 5.5 step 3, 6.6). Errors:
// kInvalidArgument.
Status NormalizeTransform(TransformSql* transform);

// Types of the deprecated `ddlSchema` (odf-ingest.md 1.4, decisions.md 6). Errors: kInvalidArgument naming
// the item.
Result<DataSchema> ParseDdlSchema(const Strings& columns);
// The reverse, for `inspect schema -o ddl`.
std::string ToDdl(const DataSchema& schema);

// The schema that a read step declares: `schema`, or the parsed `ddlSchema`, or none.
Result<std::optional<DataSchema>> DeclaredSchema(const ReadStep& read);

}  // namespace sluice::odf

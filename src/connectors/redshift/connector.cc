#include "connectors/redshift/connector.h"

#include <cstdlib>

#include "connectors/aws/signing.h"
#include "connectors/redshift/redshift_internal.h"
#include "pipeline/registry.h"
#include "pipeline/settings.h"

namespace sluice::connectors {
namespace {

using pipeline::Declaration;
using pipeline::Option;
using pipeline::OptionType;

constexpr std::string_view kS3 = "s3://";

Declaration Declare() {
  Declaration declaration;
  declaration.kind = pipeline::ConnectorKind::kWriter;
  declaration.type = "redshift";
  declaration.summary = "Stores records in an Amazon Redshift table, each once";
  declaration.tier = pipeline::Tier::kExperimental;
  declaration.guarantee = pipeline::Guarantee::kIdempotent;
  declaration.guarantee_text =
      "A record with a stored uuid, or with a stored (tenant_id, source_type, source_id, data_id) where data_id is "
      "not empty, adds no row, as long as all writers of the table hold its lock as this one does: Redshift enforces "
      "no uniqueness. Tested against PostgreSQL, which stands in for it (jsonb for SUPER, text for varchar), with COPY "
      "replaced on the way and S3 by moto; not run against the real service.";
  declaration.options = {
      {.name = "uri",
       .description =
           "Connection text of libpq, postgres://USER:PASSWORD@CLUSTER:5439/DATABASE?sslmode=verify-full",
       .is_required = true,
       .is_sensitive = true},
      {.name = "table", .description = "Name of the table", .is_required = true},
      {.name = "schema", .description = "Schema of the table; the session's when it is not given"},
      {.name = "create_table",
       .type = OptionType::kBoolean,
       .description = "Makes the table when it is missing",
       .default_text = "false"},
      {.name = "on_duplicate",
       .description =
           "What becomes of a stored record that comes again: skip it, or update the stored one, which "
           "keeps its uuid and created_at",
       .default_text = "skip",
       .allowed = {"skip", "update"}},
      {.name = "staging",
       .description =
           "s3://BUCKET/PREFIX where batches are put for COPY; otherwise they go as multi-row INSERT, which "
           "is much slower"},
      {.name = "iam_role", .description = "ARN of the role with which Redshift reads the staged files"},
      {.name = "s3_endpoint",
       .description =
           "URL of the S3 service, for others than Amazon's; the bucket becomes the first part of the path"},
      {.name = "timeout",
       .type = OptionType::kDuration,
       .description = "Time that one statement may take",
       .default_text = "5m"},
      {.name = "connect_timeout",
       .type = OptionType::kDuration,
       .description = "Time that connecting may take",
       .default_text = "10s"},
  };
  for (auto& option : aws::SigningOptions("Region of the bucket; otherwise AWS_REGION of the environment"))
    declaration.options.push_back(std::move(option));
  declaration.example =
      "type: redshift\n"
      "uri: ${{ env.REDSHIFT || 'postgres://localhost:5439/feedback' }}\n"
      "table: feedback\n"
      "staging: s3://bucket/staging\n"
      "iam_role: arn:aws:iam::123456789012:role/copy\n"
      "region: eu-central-1\n";
  return declaration;
}

Result<redshift::StagingOptions> ReadStaging(const pipeline::Settings& settings) {
  redshift::StagingOptions staging;
  const std::string& url = settings.text("staging");
  const size_t slash = url.find('/', kS3.size());
  staging.bucket = url.substr(std::min(kS3.size(), url.size()), slash - kS3.size());
  if (!url.starts_with(kS3) || staging.bucket.empty() || url.find('\'') != std::string::npos)
    return settings.Complain("staging", fmt::format("'{}' is not s3://BUCKET/PREFIX", url));
  if (slash != std::string::npos) staging.prefix = url.substr(slash + 1);
  if (!staging.prefix.empty() && !staging.prefix.ends_with('/')) staging.prefix += '/';
  staging.iam_role = settings.text("iam_role");
  if (staging.iam_role.empty()) return settings.Complain("iam_role", "is needed with staging");
  ASSIGN_OR_RETURN(staging.signing, aws::ReadSigning(settings, "s3", ""));
  std::string endpoint = settings.text("s3_endpoint");
  if (endpoint.empty()) {
    staging.endpoint = fmt::format("https://{}.s3.{}.amazonaws.com/", staging.bucket, staging.signing.region);
  } else {
    while (endpoint.ends_with('/')) endpoint.pop_back();
    staging.endpoint = endpoint + "/" + staging.bucket + "/";
  }
  return staging;
}

Result<std::unique_ptr<pipeline::IngestionWriter>> Make(const pipeline::Settings& settings,
                                                        pipeline::Environment&) {
  redshift::WriterOptions options;
  options.connect.uri = settings.text("uri");
  options.connect.timeout = settings.duration("timeout");
  options.connect.connect_timeout = settings.duration("connect_timeout");
  options.connect.set_up =
      fmt::format("SET TIMEZONE TO 'UTC'; SET statement_timeout TO {}", options.connect.timeout.count());
  options.connect.origin = settings.Where("uri");
  options.table = settings.text("table");
  options.table_origin = settings.Where("table");
  options.schema = settings.text("schema");
  options.create_table = settings.boolean("create_table");
  options.updates = settings.text("on_duplicate") == "update";
  if (options.table.empty()) return settings.Complain("table", "must not be empty");
  if (options.connect.timeout.count() < 1) return settings.Complain("timeout", "must be 1ms or more");
  if (!settings.text("staging").empty()) {
    ASSIGN_OR_RETURN(options.staging, ReadStaging(settings));
  } else if (!settings.text("iam_role").empty()) {
    return settings.Complain("iam_role", "is for staging, which is not given");
  }
  return redshift::MakeWriter(std::move(options));
}

}  // namespace

void RegisterRedshift(pipeline::Registry& registry) {
  registry.Add(Declare(), pipeline::Registry::Maker<pipeline::IngestionWriter>(Make));
}

}  // namespace sluice::connectors

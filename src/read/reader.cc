#include "read/reader.h"

#include <arrow/type.h>

#include "odf/arrow_schema.h"
#include "odf/yaml.h"
#include "read/csv_reader.h"
#include "read/encoding.h"
#include "read/json_columns.h"
#include "read/json_reader.h"
#include "read/parquet_reader.h"
#include "read/shapefile_reader.h"
#include "read/text_options.h"

namespace sluice::read {
namespace {

Status CheckSchema(odf::ReadFormat format, const arrow::Schema& schema) {
  switch (format) {
    case odf::ReadFormat::kCsv:
      return CheckCsvSchema(schema);
    case odf::ReadFormat::kJson:
    case odf::ReadFormat::kNdJson:
    case odf::ReadFormat::kGeoJson:
    case odf::ReadFormat::kNdGeoJson:
      return CheckJsonSchema(schema);
    case odf::ReadFormat::kEsriShapefile:
      return CheckShapefileSchema(schema);
    case odf::ReadFormat::kParquet:
      return {};
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<arrow::Schema>> StaticSchema(const odf::ReadStep& step) {
  ASSIGN_OR_RETURN(const std::optional<odf::DataSchema> declared, odf::DeclaredSchema(step));
  if (!declared) return std::shared_ptr<arrow::Schema>();
  // How a dataset lays its columns out in memory does not matter to a reader.
  return odf::ToArrow(odf::StripEncodings(*declared));
}

Status CheckReadStep(const odf::ReadStep& step) {
  if (step.encoding) RETURN_IF_ERROR(CheckEncoding(*step.encoding));
  if (step.format == odf::ReadFormat::kCsv) {
    ASSIGN_OR_RETURN([[maybe_unused]] const CsvOptions csv, CsvOptionsOf(step));
  } else {
    ASSIGN_OR_RETURN([[maybe_unused]] const columnar::CastOptions cast, CastOptionsOf(step));
  }
  ASSIGN_OR_RETURN(const auto schema, StaticSchema(step));
  if (!schema) return {};
  if (schema->num_fields() == 0) return InvalidArgument("the read schema has no fields");
  return CheckSchema(step.format, *schema);
}

Result<std::unique_ptr<Reader>> OpenReader(const odf::ReadStep& step, std::unique_ptr<ByteSource> source,
                                           const ReadOptions& options) {
  ASSIGN_OR_RETURN(const auto plan, PlanRead(step));
  return OpenReader(*plan, std::move(source), options);
}

Result<std::shared_ptr<const ReadPlan>> PlanRead(const odf::ReadStep& step) {
  RETURN_IF_ERROR(CheckReadStep(step));
  auto plan = std::make_shared<ReadPlan>();
  plan->step = step;
  ASSIGN_OR_RETURN(plan->schema, StaticSchema(step));
  return std::shared_ptr<const ReadPlan>(std::move(plan));
}

Result<std::unique_ptr<Reader>> OpenReader(const ReadPlan& plan, std::unique_ptr<ByteSource> source,
                                           const ReadOptions& options) {
  const odf::ReadStep& step = plan.step;
  auto schema = plan.schema;
  switch (step.format) {
    case odf::ReadFormat::kCsv:
      return OpenCsv(step, std::move(schema), std::move(source), options);
    case odf::ReadFormat::kNdJson:
    case odf::ReadFormat::kNdGeoJson:
      return OpenNdJson(step, std::move(schema), std::move(source), options);
    case odf::ReadFormat::kJson:
    case odf::ReadFormat::kGeoJson:
      return OpenJsonDocument(step, std::move(schema), std::move(source), options);
    case odf::ReadFormat::kParquet:
      return OpenParquet(std::move(schema), std::move(source), options);
    case odf::ReadFormat::kEsriShapefile:
      return OpenShapefile(step, std::move(schema), std::move(source), options);
  }
  return Internal("a read format without a reader");
}

odf::ReadStep OverrideFormat(const odf::ReadStep& step, InputFormat format) {
  if (step.format == format.read) {  // of tabs: header, quotes, encoding are the source's
    odf::ReadStep same = step;
    if (format.tabs) same.separator = "\t";
    return same;
  }
  odf::ReadStep fresh;
  fresh.format = format.read;
  fresh.schema = step.schema;
  fresh.ddl_schema = step.ddl_schema;
  if (format.read == odf::ReadFormat::kCsv) fresh.header = !step.schema && !step.ddl_schema;
  if (format.tabs) fresh.separator = "\t";
  return fresh;
}

}  // namespace sluice::read

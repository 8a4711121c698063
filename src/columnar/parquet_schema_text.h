#pragma once

#include <string>

#include "base/result.h"

namespace arrow {
class Schema;
}  // namespace arrow

namespace sluice::columnar {

// The Parquet schema that slices of these columns have: as a `message` for people, or as JSON
// (odf-ingest.md 7, `inspect schema -o parquet|parquet-json`).
Result<std::string> DescribeParquetSchema(const arrow::Schema& schema, bool json);

}  // namespace sluice::columnar

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "odf/schema.h"

// Columns whose values name objects in the dataset's data folder (odf-ingest.md 4.8, odf-metadata.md 7.5).
namespace sluice::odf {

// Errors: kUnsupported for a link column that is not a plain String.
Result<std::vector<std::string>> LinkColumns(const DataSchema& schema);

// What a block says of the objects that its rows link to; every link counts, duplicates included.
struct LinkedObjectCounts {
  uint64_t objects = 0;
  uint64_t bytes = 0;

  bool operator==(const LinkedObjectCounts&) const = default;
};
// `AddData.extra` for these counts, and back; nothing when `extra` does not hold them.
std::string ToExtra(const LinkedObjectCounts& counts);
std::optional<LinkedObjectCounts> LinkedObjectsOf(const std::optional<std::string>& extra);

}  // namespace sluice::odf

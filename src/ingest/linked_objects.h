#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "ingest/shape.h"
#include "odf/object_links.h"
#include "odf/schema.h"
#include "storage/storage.h"

namespace arrow {
class RecordBatch;
}  // namespace arrow

namespace sluice::ingest {

// Checks the columns that refer to objects in the dataset's data folder (odf-ingest.md 4.8,
// odf-metadata.md 7.5) and counts what they refer to, duplicates included. Confined to one thread.
class LinkedObjects {
 public:
  // Errors: kUnsupported for link columns that are not plain strings.
  static Result<LinkedObjects> Make(const std::optional<odf::DataSchema>& schema,
                                    const storage::Storage& storage);

  // Adds the values that are no multihash or whose object is not stored; counts nothing.
  Status FindBad(const arrow::RecordBatch& batch, std::vector<BadValue>* bad) const;
  // Counts what the rows refer to. Errors: kInvalidRecords naming row, column and value of the first bad one.
  Status Count(const arrow::RecordBatch& batch);
  // AddData.extra, when there are link columns.
  std::optional<std::string> Extra() const;

 private:
  explicit LinkedObjects(const storage::Storage* storage) : storage_(storage) {}
  Status Visit(const arrow::RecordBatch& batch, std::vector<BadValue>* bad,
               odf::LinkedObjectCounts* counts) const;

  const storage::Storage* storage_;
  std::vector<std::string> columns_;
  odf::LinkedObjectCounts counts_;
  int64_t rows_ = 0;
};

}  // namespace sluice::ingest

#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "multiformats/multihash.h"

namespace arrow {
class RecordBatch;
class Schema;
class DataType;
}  // namespace arrow

namespace sluice::columnar {

// The logical hash of a sequence of record batches (odf-metadata.md 8): values only, independent of layout.
// Columns are hashed in the lanes of one Keccak, several at once; `Update` uses the calling thread.
// Thread-compatible.
class LogicalHasher {
 public:
  // Errors: kUnsupported naming the column whose type has no logical hash (Map, Duration, Null, list of
  // struct, ...).
  static Result<LogicalHasher> Make(const std::shared_ptr<arrow::Schema>& schema);
  LogicalHasher(LogicalHasher&&) noexcept;
  LogicalHasher& operator=(LogicalHasher&&) noexcept;
  ~LogicalHasher();

  // Batches must have the schema's types; Large and View variants count as the plain ones.
  // Errors: kUnsupported for a struct with null rows (8.4), naming the column.
  Status Update(const arrow::RecordBatch& batch);
  // Ends the hash. Code kArrow0Sha3_256.
  Result<multiformats::Multihash> Finish();

 private:
  struct Impl;
  explicit LogicalHasher(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// OK when a column of this type can be hashed.
Status CheckHashable(const std::string& column, const arrow::DataType& type);

}  // namespace sluice::columnar

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace sluice::columnar {

struct SortKey {
  std::string column;  // ascending, nulls first
};

struct SorterOptions {
  int64_t memory_bytes = 256 << 20;  // sorted in memory up to here, then in runs on disk
  std::string spill_folder;          // for the runs, made and removed by the sorter
};

// Stable external sort of record batches. While the input arrives already in order it passes through (`Drain`
// returns it at once), so sorted input costs one comparison of neighbours and no memory. Confined to one
// thread.
class Sorter {
 public:
  static Result<std::unique_ptr<Sorter>> Make(std::shared_ptr<arrow::Schema> schema,
                                              std::vector<SortKey> keys, SorterOptions options);
  virtual ~Sorter() = default;
  virtual Status Add(std::shared_ptr<arrow::RecordBatch> batch) = 0;
  // No more input. Afterwards Next gives the rows in order, null at the end.
  virtual Status Finish() = 0;
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Next() = 0;
};

// True when the rows of `batch` are in order and start not before `last` (the last row seen, or null). NaN
// sorts after all other numbers.
Result<bool> IsSorted(const arrow::RecordBatch& batch, const std::vector<SortKey>& keys,
                      const arrow::RecordBatch* last);

// Stable order of one batch in memory.
Result<std::shared_ptr<arrow::RecordBatch>> SortBatch(const std::shared_ptr<arrow::RecordBatch>& batch,
                                                      const std::vector<SortKey>& keys);

}  // namespace sluice::columnar

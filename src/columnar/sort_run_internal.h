#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "columnar/sorter.h"

// Sorted runs and how they become one sequence.
namespace sluice::columnar {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

// Batches in order, from the first to the last.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  // Null at the end.
  virtual Result<BatchPtr> Next() = 0;
};

// Batches in memory, whose concatenation is in order.
std::unique_ptr<BatchSource> MakeListSource(std::vector<BatchPtr> batches);

// One batch in another order: rows are gathered when they are asked for.
std::unique_ptr<BatchSource> MakeOrderedSource(BatchPtr batch, std::vector<uint32_t> rows,
                                               int64_t batch_rows);

// Writes what `source` gives into a file of `folder` that has no name any more, so that a crash leaves
// nothing, and gives it back from there. Errors: kResourceExhausted when the disk is full.
Result<std::unique_ptr<BatchSource>> SpillRun(const std::string& folder,
                                              const std::shared_ptr<arrow::Schema>& schema,
                                              BatchSource& source);

// Merges sources that are each in order; among equal rows those of the earlier source come first. Holds one
// batch of each source and the one that is being made.
Result<std::unique_ptr<BatchSource>> MergeSources(std::vector<std::unique_ptr<BatchSource>> sources,
                                                  std::vector<SortKey> keys, int64_t batch_rows);

}  // namespace sluice::columnar

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/instant.h"
#include "base/result.h"
#include "columnar/slice.h"
#include "columnar/sorter.h"
#include "odf/chain_state.h"
#include "odf/events.h"
#include "storage/storage.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace sluice::ingest {

struct SliceSpec {
  odf::Vocabulary vocabulary;
  std::shared_ptr<arrow::Schema> merged;          // op and the data columns, as the merger gives them
  std::optional<odf::DataSchema> dataset_schema;  // fixes order and nullability of the columns
  uint64_t start_offset = 0;
  Instant system_time;
  std::vector<columnar::SortKey> order;  // of the rows of one batch; empty = as they come
  std::string spill_folder;
  int64_t sort_memory_bytes = 128 << 20;
};

struct BuiltSlice {
  std::unique_ptr<storage::StagedFile> file;
  odf::DataSlice slice;
  std::shared_ptr<arrow::Schema> schema;
  Instant max_event_time;
};

// Rows of a merge on their way into one Parquet slice: event times filled, in order, with offsets and system
// columns (odf-ingest.md 4.1 steps 6, 7, 11). Rows that arrive in order stream straight to the file; the
// first that does not sends what is written, and the rest, through an external sort. Confined to one thread;
// bounded memory.
class SliceBuilder {
 public:
  static Result<std::unique_ptr<SliceBuilder>> Make(storage::Storage& storage, SliceSpec spec);
  ~SliceBuilder();

  // The slice's columns: offset, op, system_time, event time, the rest.
  const std::shared_ptr<arrow::Schema>& schema() const;
  // Rows of the current batch; `fallback` fills event times that are NULL.
  Status Add(const std::shared_ptr<arrow::RecordBatch>& merged, Instant fallback);
  // Rows that are batches of one row each, between two batches.
  Status AddSingles(const std::shared_ptr<arrow::RecordBatch>& merged, Instant fallback);
  // Ends a batch: the next rows follow in their own order. Returns how many rows the batch added.
  Result<int64_t> EndBatch();
  // Nothing when there are no rows.
  Result<std::optional<BuiltSlice>> Finish();

 private:
  struct Impl;
  explicit SliceBuilder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The rows of a slice that was built before `chain` moved, with columns, offsets and system time for it as it
// is now. Errors: as MakeRealigner and Realign.
Result<std::optional<BuiltSlice>> Restamp(storage::Storage& storage, BuiltSlice& slice,
                                          const odf::ChainState& chain, Instant system_time);

// The data event that follows `chain`: rows (none, for a state alone), their source's state, what links
// count. Its watermark never goes back.
odf::AddData MakeAddData(const odf::ChainState& chain, const std::optional<BuiltSlice>& slice,
                         std::optional<std::string> extra, std::optional<odf::SourceState> state);

}  // namespace sluice::ingest

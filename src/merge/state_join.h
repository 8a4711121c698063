#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "columnar/keys.h"
#include "merge/merge_internal.h"
#include "merge/overlay.h"

namespace sluice::merge {

// What both strategies with a state are told at Make.
struct StateSchema {
  SchemaPtr data;  // the input without op
  SchemaPtr output;
  struct Compared {
    int column;            // of `data`
    bool only_new_values;  // the event time
  };
  std::vector<Compared> compared;
  std::optional<columnar::RowCodec> history_rows;  // absent when there is no history
};

// A key's row before this batch.
struct OldRow {
  enum class Where { kNone, kHistory, kGroup };
  Where where = Where::kNone;
  std::string_view bytes;  // history: RowCodec
  RowRef ref;              // group: into the overlay's batches
};

// Takes the keys of one batch in order, each with its old and its new row, and makes the rows of the output,
// some thousand keys at a time: +A, -R, -C and +C. Confined to one thread; the arguments must outlive it.
class StateJoin {
 public:
  StateJoin(const StateSchema& schema, const Overlay& overlay, const std::vector<BatchPtr>& frame,
            MergeCounts* counts)
      : schema_(schema), overlay_(overlay), frame_(frame), counts_(counts) {}

  // `fresh` absent: the key is gone.
  Status Add(std::string_view key, const OldRow& old, std::optional<RowRef> fresh);
  Status Finish() { return Flush(); }

  std::vector<BatchPtr> TakeOutput() { return std::move(output_); }
  std::unique_ptr<StateChanges> TakeChanges() { return std::move(changes_); }

 private:
  struct Pair {
    OldRow::Where old;
    RowRef group_row;
    std::optional<RowRef> fresh;
  };

  Status Flush();
  Result<BatchPtr> OldRows() const;
  Result<BatchPtr> FreshRows() const;
  std::vector<bool> Distinct(const arrow::RecordBatch& olds, const arrow::RecordBatch& news) const;

  const StateSchema& schema_;
  const Overlay& overlay_;
  const std::vector<BatchPtr>& frame_;
  MergeCounts* counts_;
  std::vector<Pair> pairs_;
  columnar::PackedBytes keys_;    // of pairs_
  columnar::PackedBytes stored_;  // history's rows of pairs_
  std::vector<BatchPtr> output_;
  std::unique_ptr<StateChanges> changes_ = std::make_unique<StateChanges>();
};

}  // namespace sluice::merge

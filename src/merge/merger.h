#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/instant.h"
#include "base/result.h"
#include "columnar/keys.h"
#include "columnar/sorter.h"
#include "merge/key_room.h"
#include "odf/events.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

// Merge strategies (odf-ingest.md 3 with decisions.md 4, 5): what is new in a batch, given what the dataset
// holds. No I/O of their own.
namespace sluice::merge {

// What history says of one key.
struct KeyState {
  bool seen = false;  // some row of any op had this key
  std::optional<std::string>
      latest_row;  // RowCodec bytes over the history schema; absent when retracted or when keys only
};

// Answers about the rows before this merge; implemented over the key index. Confined to the merger's thread.
// Keys are KeyEncoder encodings of the columns of `KeyColumnsOf`.
class KeyHistory {
 public:
  virtual ~KeyHistory() = default;
  // No data at all yet: "first batch".
  virtual bool empty() const = 0;
  // One state per key, in order.
  virtual Result<std::vector<KeyState>> Find(const std::vector<std::string_view>& keys) = 0;
  // Columns of `latest_row` (data columns and event time, no offset/op/system time), current dataset schema.
  virtual std::shared_ptr<arrow::Schema> row_schema() const = 0;
  // Live rows in key order, for Snapshot: calls `visit(key, row)` for each.
  virtual Status Scan(const std::function<Status(std::string_view key, std::string_view row)>& visit) = 0;
};

struct MergeSpec {
  odf::MergeStrategy strategy;
  odf::Vocabulary vocabulary;
  std::shared_ptr<arrow::Schema>
      input;  // after system-column checks: event time present (it may be all null), timestamps in ms UTC
  bool refuse_duplicates = false;  // Snapshot: --on-duplicate error (decisions.md 5)
  KeyMemory key_memory;            // Ledger: where the keys of the batches go
};

struct MergeCounts {
  int64_t received = 0;
  int64_t appended = 0;
  int64_t retracted = 0;
  int64_t corrected = 0;   // pairs of -C and +C
  int64_t unchanged = 0;   // seen before this batch, equal to what is stored, or deletes of what is not there
  int64_t duplicates = 0;  // rows dropped because of another row of the batch with their key
  std::vector<std::string> first_duplicates;  // key values for people, at most 5
};

// Whether the input has the columns that the strategy names. Errors: kInvalidArgument naming one and them.
Status CheckColumns(const odf::MergeStrategy& strategy, const arrow::Schema& input);

// `2 record(s) repeat a key within the input: a, b`; empty when none does.
std::string DescribeDuplicates(const MergeCounts& counts);

// One group of input batches of one source through one strategy. Push the batches' rows in input order and
// end each batch; a later batch sees what earlier ones of the group wrote, so the outcome is that of merging
// and committing them one by one. Confined to one thread. Event times stay as they came (NULL ones are filled
// after). A batch that is ended without rows counts: a Snapshot of zero rows retracts everything; where there
// is no frame at all, do not end a batch.
//
// After an error, or when a batch shall not count for another reason, call AbandonBatch and go on with the
// next.
class Merger {
 public:
  // `history` may be null for Append and ChangelogStream. Errors: kInvalidArgument naming missing key or
  // compare columns and the input's columns.
  static Result<std::unique_ptr<Merger>> Make(const MergeSpec& spec, KeyHistory* history);
  virtual ~Merger() = default;

  // Columns of the output: op (Int32; what ChangelogStream's input declares), then the input's other columns.
  // No offset, no system time. A column is nullable where the input's is, and where rows of history may lack
  // it.
  virtual std::shared_ptr<arrow::Schema> output_schema() const = 0;
  // Order of one batch's output, before offsets are given: stable. Empty: rows come in their final order.
  virtual const std::vector<columnar::SortKey>& order() const = 0;
  // Before a batch: the event time that its rows without one will get. What later batches of the group
  // retract or correct then carries it, as it would after a commit.
  virtual void BeginBatch(Instant fallback_event_time) {}
  // Rows of the current batch, with the input's columns. Returns rows that can go out already (null when
  // none). Errors: kInvalidRecords for a NULL key or a bad op, naming the row (1-based within the batch) and
  // column.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Push(
      const std::shared_ptr<arrow::RecordBatch>& rows) = 0;
  // Instead of Push, with strategies of which TakesSingles holds: rows that are batches of one row each. What
  // goes out is what Push and EndBatch would give for one after the other; `added` says which rows that is.
  // Begun, and ended or abandoned, once for all of them.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> PushSingles(
      const std::shared_ptr<arrow::RecordBatch>& rows, std::vector<bool>* added);
  // Ends the current batch. Returns its remaining rows in the order of `order()` as far as the strategy needs
  // (Snapshot, UpsertStream and ChangelogStream, which keep a batch in memory: all of them, ordered). The
  // next Push starts a new batch. Errors: kInvalidRecords for a key twice when duplicates are refused; those
  // of `history`.
  virtual Result<std::vector<std::shared_ptr<arrow::RecordBatch>>> EndBatch() = 0;
  // Forgets the current batch, or the part of it that was pushed: the group goes on as if it had not come.
  virtual void AbandonBatch() = 0;
  // Counts of the batch that ended last.
  virtual const MergeCounts& counts() const = 0;
};

// Whether rows go out as they come, so that many batches of one row can be merged at once.
bool TakesSingles(odf::MergeKind kind);

// The columns of history's keys, in the order of their encoding: the primary key as declared, which is also
// Snapshot's and UpsertStream's output order.
std::vector<std::string> KeyColumnsOf(const odf::MergeStrategy& strategy);

// Which history a strategy asks for.
enum class HistoryNeed { kNone, kKeys, kRows };
HistoryNeed NeedOf(odf::MergeKind kind);

}  // namespace sluice::merge

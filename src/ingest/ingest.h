#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "dataset/dataset.h"
#include "index/guarded_index.h"
#include "ingest/frame.h"
#include "ingest/progress.h"
#include "ingest/rejects.h"
#include "merge/merger.h"

// One ingestion: from input to commit (odf-ingest.md 0, 4.6; decisions.md 11-13).
namespace sluice::ingest {

struct IngestContext {
  dataset::Dataset* dataset = nullptr;
  // Waits for the locks. Errors: kUnavailable after the lock time-out.
  std::function<Result<std::unique_ptr<index::GuardedIndex>>()> begin_commit;
  const Clock* clock = nullptr;
  std::string temp_folder;  // spools, spilled sorts
};

// One batch: what a file, standard input or a request brings.
struct IngestInput {
  std::function<Result<std::unique_ptr<read::ByteSource>>()> open;
  bool replayable = false;                  // `open` may be called again
  std::optional<read::InputFormat> format;  // other than the source's own
  std::optional<Instant> event_time;        // fallback; default: the system time of the commit
  // State of the source after this batch, and the one it must have before; `*` = none yet.
  std::optional<std::string> state_kind;
  std::optional<std::string> next_state;
  std::optional<std::string> if_state;
  // Computes the `sluice/file` value once the input was read to its end (decisions.md 13).
  std::function<Result<std::string>()> file_state;
  // True when the source's newest `sluice/file` state says that this input is in the dataset already. Asked
  // before the input is opened, and again under the locks: another process may have taken the same file
  // meanwhile. Not given: never.
  std::function<Result<bool>(const std::optional<odf::SourceState>& newest)> is_taken;
  // Polling: the state after this input, asked once it was read to its end, before the commit; its name is
  // filled in. Nothing = the source offers none. An error (it changed while it was read) refuses the input.
  std::function<Result<std::optional<odf::SourceState>>()> polled_state;
  bool with_next = false;  // polling: its state covers the next input too, so that both go into one commit
};

// Takes the inputs for the polling source instead of a push source (odf-ingest.md 4.6, 5.1).
struct PollingOptions {
  std::string state_name;  // under which states are written (decisions.md 3)
  // The source that the inputs were fetched for. When it is another one, or stands elsewhere, by the time of
  // the commit, somebody else has polled: kPrecondition, and nothing is taken twice.
  odf::ChainState::PollingSource at;
  // When it is given: told how many of the inputs the commit takes, also when they bring nothing
  // new and there is no block to write; an error ends it.
  std::function<Status(size_t inputs)> before_commit;
  int64_t max_rows = 0;  // read for one commit, at whole inputs; 0 = no limit
};

struct IngestOptions {
  std::optional<std::string> source_name;
  std::optional<PollingOptions> polling;
  bool refuse_duplicates = false;  // Snapshot: a key twice in one input is an error
  bool dry_run = false;
  FrameOptions frame;
  int64_t spool_memory_bytes = 256 << 20;  // of rows, and as much of a Ledger's keys; the rest is on disk
};

enum class IngestStatus { kCommitted, kUpToDate, kDuplicate };

struct IngestOutcome {
  IngestStatus status = IngestStatus::kUpToDate;
  odf::Multihash old_head;
  odf::Multihash new_head;    // = old_head unless committed
  odf::Multihash block_hash;  // the block with this batch, or the one it was judged against
  uint64_t sequence = 0;      // of that block
  std::optional<odf::OffsetInterval> offsets;
  int64_t records_read = 0;
  int64_t records_added = 0;  // rows written
  merge::MergeCounts counts;
  std::optional<Instant> watermark;
  std::string projection;                  // of the coordinates read, as well-known text; empty = not told
  std::vector<odf::MetadataEvent> events;  // what was (or, on a dry run, would be) committed
};

inline constexpr char kDefaultStateKind[] = "sluice/token";
inline constexpr char kFileStateKind[] = "sluice/file";

// Takes `inputs` in order as batches of one source, committed with one head move: all or none. The
// outcome is that of taking them one by one; an input whose state is in the chain already is skipped as
// kDuplicate. For a polling source the outcomes may be fewer than the inputs: the first of them, when those
// reach max_rows or the spool's memory, or when the next one cannot be read. Nothing is visible, and nothing
// is left behind, when it fails: `rejects`, which collects bad records, then goes back to where it was.
// Errors: kNotFound, kConflict (several sources; schema), kPrecondition (state), kInvalidRecords,
// kUnavailable (locks), kCommitUnknown, kCancelled, and I/O.
Result<std::vector<IngestOutcome>> Ingest(const IngestContext& context, std::vector<IngestInput> inputs,
                                          RejectLog& rejects, const IngestOptions& options);

}  // namespace sluice::ingest

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "ingest/frame.h"
#include "ingest/frame_plan.h"
#include "ingest/ingest.h"

// Group commit (push-protocol.md 6): batches of several sources of one dataset, committed with one head move,
// each with an outcome of its own.
namespace sluice::ingest {

// A batch that is read, queried and shaped: past every check that needs no history.
struct ReadyBatch {
  std::shared_ptr<FramePlan> plan;        // by which it was read
  std::shared_ptr<arrow::Schema> schema;  // null: no frame (odf-ingest.md 4.6)
  std::vector<std::shared_ptr<arrow::RecordBatch>> rows;
  int64_t records = 0;  // read, before the query
  // Of a record that was read together with others: its row in `rows`, which is one batch with all of them.
  std::optional<int64_t> row;
};

// Reads a whole batch. Errors: those of Frame; kInvalidRecords naming the first bad records, all of which are
// in `rejects`.
Result<ReadyBatch> MakeReady(std::shared_ptr<FramePlan> plan, std::unique_ptr<read::ByteSource> input,
                             RejectLog& rejects, const FrameOptions& options);
// The same by a plan of its own.
Result<ReadyBatch> MakeReady(const std::shared_ptr<const odf::ChainState>& chain,
                             const SourceDefinition& source, std::unique_ptr<read::ByteSource> input,
                             std::optional<read::InputFormat> format, RejectLog& rejects,
                             const FrameOptions& options);

// Whether a body is one NDJSON record by its looks: an object without line feeds around or in it.
bool LooksLikeOneRecord(std::string_view body);
// Reads batches of one record each as one input: cheaper by far than one by one. The plan must be
// IsRecordByRecord, the bodies must look like one record. Nothing when not every one of them is a good record
// and, where there is a query, becomes a row: fewer have to be read together then, at last each by itself,
// which tells what is wrong with which.
Result<std::optional<std::vector<ReadyBatch>>> MakeReadyTogether(const std::shared_ptr<FramePlan>& plan,
                                                                 const std::vector<std::string_view>& bodies,
                                                                 const FrameOptions& options);

struct GroupBatch {
  ReadyBatch ready;
  uint64_t activation = 0;  // of its source (ChainState::PushSource::activated_at), when it was taken
  Instant fallback_event_time;
  // State of the source after the batch, and the one before it: nothing = none yet.
  struct StateChange {
    std::string kind, next;
    std::optional<odf::SourceState> expected;
  };
  std::optional<StateChange> state;
  // When it leaves the group, those of its source behind it do too: nothing overtakes it (push-protocol.md
  // 7).
  bool holds_up = false;
};

struct GroupContext {
  dataset::Dataset* dataset = nullptr;     // refreshed, and its head durable
  index::GuardedIndex* session = nullptr;  // the commit's locks
  const Clock* clock = nullptr;
  std::string temp_folder;
  std::stop_token stop;
};

struct GroupResult {
  // One a batch, in the order given. The error of a batch that left the group: kInvalidRecords and the like
  // for its own fault, kPrecondition when its state does not hold (because one that it builds on failed, or
  // the source moved), kNotFound when its source is not active any more, kUnavailable when it stood behind
  // one that holds its source up.
  std::vector<Result<IngestOutcome>> outcomes;
  std::optional<dataset::CommitResult> commit;  // nothing when no batch brought anything new
};

// Called with everything but the head's move durable; `outcomes` is what will hold. An error stops the
// commit.
using BeforeHead = std::function<Status(const GroupResult& result)>;

// Merges and commits. The order is source by source, by each one's first batch; within a source as given. The
// result is that of committing the batches one by one in that order, in offsets, op, event time and data.
// Each batch's plan must hold for the dataset as it is (FramePlan::HoldsFor); while the dataset has no
// schema, only the last of them may have a frame. An error, in contrast to those in the result, means that
// nothing was committed (kCommitUnknown: that it is not known). The key indexes are the caller's to bring up
// to the new head (UpdateIndexes), once those who wait know the outcome. Confined to one thread.
Result<GroupResult> CommitGroup(const GroupContext& context, std::vector<GroupBatch> batches,
                                const BeforeHead& before_head);

}  // namespace sluice::ingest

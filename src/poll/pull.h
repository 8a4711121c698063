#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "dataset/dataset.h"
#include "fetch/fetch.h"
#include "index/guarded_index.h"
#include "ingest/progress.h"
#include "ingest/rejects.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

// Pulling: what a polling source has published since the last time, into its dataset (odf-ingest.md 5).
namespace sluice::poll {

// One dataset as its holder lets it be written: a workspace, or a node.
struct PullTarget {
  std::string alias;
  dataset::Dataset* dataset = nullptr;
  std::function<Result<std::unique_ptr<index::GuardedIndex>>()> begin_commit;
  std::string scratch_folder;    // spools, spills
  std::string savepoint_folder;  // of this dataset alone; may be lost
  std::string taken_files_path;  // of this dataset alone; may be lost
};

struct PullSettings {
  fetch::HttpSettings http;
  fetch::Capabilities may;
  archive::Limits limits;
  const fetch::Variables* variables = nullptr;
  const Clock* clock = nullptr;
  std::map<std::string, std::vector<std::string>> commands;  // of `exec:NAME`, by name
  std::string base_folder;  // of relative paths and commands; empty = the process's
  std::string state_name = std::string(odf::kPollingSourceName);
  size_t max_files = 1000;       // of a filesGlob in one commit
  int64_t max_rows = 1'000'000;  // of its files in one commit, at whole files; 0 = no limit
  bool fetch_uncacheable = false;
  bool force = false;  // also what has not changed
  bool late = false;   // filesGlob: files that came late or were changed
  bool once = false;   // one iteration, even when there is more
  ingest::OnError on_error = ingest::OnError::kFail;
  std::string rejects_path;        // with kSkip: where bad records go; empty = they are counted only
  bool refuse_duplicates = false;  // Snapshot: a key twice in one input is an error
  int64_t batch_rows = 64 << 10;
  int64_t spool_memory_bytes = 256 << 20;
  std::stop_token stop;
};

// Told how a pull gets on; OnFetched also from other threads.
class PullProgress : public ingest::Progress, public fetch::Progress {
 public:
  void OnFetched(uint64_t done, uint64_t total) override {}
};

struct PullOutcome {
  bool updated = false;
  bool has_source = true;    // false: nothing to pull from
  bool uncacheable = false;  // not asked: there is no way to tell whether it changed
  bool has_more = false;     // with `once`
  odf::Multihash old_head, new_head;
  int64_t inputs = 0;
  int64_t records_read = 0;
  int64_t records_added = 0;
  int64_t records_skipped = 0;  // bad ones
  std::optional<Instant> watermark;
  std::vector<std::string> notes;  // for people
};

// Repeats fetch, prepare, read, merge, commit while there is more. What was committed stays, whatever comes
// after: `outcome` tells of it, also when the pull fails, and then so does the error. Confined to one thread;
// two pulls of one dataset at the same time must be kept apart by the caller. Errors: those of Fetch, of the
// readers and of Ingest; the dataset and the source's state are then as they were after the last commit.
Status Pull(const PullTarget& target, const PullSettings& settings, PullProgress* progress,
            PullOutcome* outcome);

// What a pull would read, committing nothing.
struct Sample {
  std::shared_ptr<arrow::Schema> schema;  // of what the merge would take; null = no frame
  std::vector<std::shared_ptr<arrow::RecordBatch>> rows;
  std::vector<std::string> rejects;  // bad records, described
  int64_t rejects_count = 0;
  std::string input;
  std::string projection;  // of its coordinates, as well-known text; empty = not told
};

// Fetches the first input of `source`, as if nothing had been pulled, and reads at most `max_rows` of it.
Result<Sample> Preview(const odf::SetPollingSource& source, const odf::Vocabulary& vocabulary,
                       const PullTarget& target, const PullSettings& settings, int64_t max_rows);

// Sets the watermark, carrying the source's state (decisions.md 3). False when it was there already. Errors:
// kInvalidArgument for one before the present.
Result<bool> SetWatermark(const PullTarget& target, Instant watermark, const std::string& state_name,
                          const Clock& clock);

}  // namespace sluice::poll

#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>

#include "base/result.h"
#include "pipeline/batch.h"
#include "pipeline/record.h"

// The three interfaces of a pipeline. House rules of all: a constructor neither connects nor blocks; what
// fails for good at the start (credentials, a missing table, a port that is taken) is an error of Open/Start
// that names option and server; afterwards trouble of the other side is kUnavailable, kTimeout or
// kResourceExhausted, which the runner retries, while anything else is final.
namespace sluice::pipeline {

// Records that an ingestor hands over, and how it hears what became of them.
struct Delivery {
  Batch batch;
  // Rows that the ingestor itself found bad, with the reason: they go to the dead letters and nowhere else,
  // and their outcome is kRejected. A text that is no record travels as RawRecord.
  struct Refusal {
    int64_t row = 0;
    std::string reason;
    // Which one can read the text again, when it is not the one that delivers it; empty = none.
    std::optional<std::string> ingestor = {};
  };
  std::vector<Refusal> refused;  // in the order of rows
  // One outcome for each row, once, on any thread; must not block. kFailed means: not acknowledged, deliver
  // again (or tell the sender to). Never called after Ingestor::Stop returned.
  std::function<void(const Outcomes&)> done;
  // Called before Offer fails because its tenant is over its limit: how long until it may come again.
  std::function<void(std::chrono::milliseconds)> limited;
  // It was offered before, and failed: it is the same records, once more.
  bool is_repeat = false;
  // The tenant of the credential that the request came with; a record with another `tenant_id` is rejected,
  // one without gets it. Empty = the records say.
  std::string tenant;
};

// The pipeline as an ingestor sees it. Thread-safe.
class Intake {
 public:
  virtual ~Intake() = default;
  // Waits for room, at most `patience`. Errors: kResourceExhausted when there was none in time (answer 429 or
  // 503, or wait and offer again); kUnavailable when the pipeline takes no more (it stops, or its writer's
  // circuit is open); kCancelled once it has ended for good. On an error `done` is not called and nothing was
  // taken.
  virtual Status Offer(Delivery delivery, std::chrono::milliseconds patience) = 0;
  // A finite input was delivered as a whole: once, and then only what failed comes again. When that holds for
  // all ingestors, no record waits for others any more.
  virtual void End() {}
};

// Receives or fetches records. Confined to its runner; its own threads are its own.
class Ingestor {
 public:
  virtual ~Ingestor() = default;
  // Begins to deliver. `from` = where earlier runs ended, empty for the beginning; only for ingestors that
  // declare positions. `intake` outlives it.
  virtual Status Start(Intake& intake, const Places& from) = 0;
  // Takes nothing new, waits for outcomes of what was delivered, acknowledges, closes. What has no outcome by
  // then is not acknowledged. May be repeated.
  virtual Status Stop(std::chrono::milliseconds deadline) = 0;
  // A finite input that was delivered as a whole and has all its outcomes.
  virtual bool is_finished() const { return false; }
  // Why it cannot go on for now or for good, for /readyz and the console. OK while it works.
  virtual Status health() const { return {}; }
  // A text that it refused, as it travelled in RawRecord, as records: by now the fault may be mended, in the
  // text or in the configuration. It is not started then. Errors: kInvalidRecords.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Reread(std::string_view text) const {
    return ParseAll(text);
  }
};

// Changes, drops, adds or refuses records. Confined: one call at a time.
class Processor {
 public:
  virtual ~Processor() = default;
  virtual Status Open() { return {}; }
  // `rejected` receives (row of the given batch, reason) of single records that fail; they are not in the
  // answer. Errors: for the batch as a whole, retried when IsRetryable.
  struct Reject {
    int64_t row = 0;
    std::string reason;
  };
  virtual Result<Batch> Process(Batch batch, std::vector<Reject>* rejected, std::stop_token stop) = 0;
};

// Stores, forwards or drops records. Writing the same record twice has the effect of writing it once
// wherever the guarantee says so. Thread-safe up to `concurrency()` calls of Write at a time.
class IngestionWriter {
 public:
  virtual ~IngestionWriter() = default;
  // Connects, checks credentials and the target, makes the table. Called once, before Write.
  virtual Status Open(std::stop_token stop) = 0;
  // One outcome for each row; blocks until they are known, bounded by the writer's own time limit. Errors:
  // for the batch as a whole, when nothing is known of single rows.
  virtual Result<Outcomes> Write(const Batch& batch, std::stop_token stop) = 0;
  // Why it will never write again, whatever anybody mends, such as a pipe that nobody reads any more: the
  // pipeline ends, and what is not written is not acknowledged. OK while it may. Thread-safe, cheap.
  virtual Status fatal() const { return {}; }
  virtual int concurrency() const { return 1; }
  // The largest batch that it likes, in records.
  virtual int64_t preferred_rows() const { return 10'000; }
  // Where each upstream's partition stands according to what is stored; nothing when it keeps no positions.
  // Asked after Open.
  virtual Result<std::optional<Places>> StoredPlaces() { return std::optional<Places>(); }
  // False: parts of it keep none, so the pipeline keeps them as well, and begins where both stand. Asked
  // after StoredPlaces.
  virtual bool keeps_all_positions() const { return true; }
  // For records that only some of its parts lack: the others get none from now on. Called before Open.
  // Returns the names that it knows; a writer without parts knows none.
  virtual std::vector<std::string> KeepOnly(const std::vector<std::string>& parts) { return {}; }
  // May be repeated.
  virtual Status Close() { return {}; }
};

}  // namespace sluice::pipeline

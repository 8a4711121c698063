#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "log/log.h"
#include "pipeline/batch.h"
#include "storage/file_lock.h"

namespace sluice::pipeline {

struct SpoolEntry {
  std::shared_ptr<arrow::RecordBatch> records;
  uint64_t sequence = 0;
};

// The durable queue between the ingestors and the processors of a pipeline: a log (docs/formats/log.md) whose
// records are NDJSON, and a file that says up to where all is done. Read in order; after a crash the records
// behind that place are read again. Thread-safe; one reader.
class Spool {
 public:
  // Errors: kUnavailable when another process has it; those of the log.
  static Result<std::unique_ptr<Spool>> Open(const std::string& folder, uint64_t max_bytes);

  // Appends records from the first on; `appended` of them are durable when it returns, all without an error.
  // Errors: kTooLarge when the next one would not even fit into an empty spool; kResourceExhausted when it is
  // full; kUnavailable when the log is broken.
  Status Append(const arrow::RecordBatch& records, int64_t* appended);
  // The next one, waiting for it; nothing when stopped. Errors: kCorruption.
  Result<std::optional<SpoolEntry>> Next(std::stop_token stop);
  // All records of the entry are where they should be.
  void Done(uint64_t sequence);
  // Makes the place durable and frees what lies before it.
  Status Save();
  Status Close();

  // Whether everything in it is done.
  bool is_drained() const;
  // What is appended from now on has this number or a greater one.
  uint64_t next_sequence() const { return log_->end().sequence; }
  uint64_t size_bytes() const { return log_->size_bytes(); }
  // What opening found: records that a crash had torn.
  const log::Recovery& recovery() const { return log_->recovery(); }

 private:
  struct Given {
    uint64_t sequence = 0;
    log::Position next;
    bool is_done = false;
  };

  Spool(std::string folder, uint64_t max_bytes, std::unique_ptr<storage::FileLock> lock,
        std::unique_ptr<log::Log> log)
      : folder_(std::move(folder)), max_bytes_(max_bytes), lock_(std::move(lock)), log_(std::move(log)) {}
  std::string PlaceFile() const { return folder_ + "/place"; }
  Status ReadAhead();

  const std::string folder_;
  const uint64_t max_bytes_;
  const std::unique_ptr<storage::FileLock> lock_;
  const std::unique_ptr<log::Log> log_;
  mutable std::mutex mutex_;
  std::condition_variable_any appended_;
  log::Position cursor_;           // what is read next
  std::deque<log::Record> ahead_;  // read and not given yet
  std::deque<Given> given_;        // in order, the first one not done
  log::Position done_;             // up to where all is done
  log::Position saved_;
};

}  // namespace sluice::pipeline

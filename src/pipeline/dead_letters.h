#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "pipeline/connector.h"
#include "pipeline/environment.h"
#include "pipeline/metrics.h"

namespace sluice::pipeline {

struct DeadLetter {
  std::shared_ptr<arrow::RecordBatch> record;  // one row
  std::string reason;
  bool is_raw = false;        // a text that was no record, in `data`
  std::string ingestor = {};  // that refused the text, and can read it again: `0_rest`
  // Parts of the writer that have not got the record; empty = none has.
  std::vector<std::string> writers = {};
  bool is_processed = false;  // the record as the processors left it, not as it came in
};

// Where records go that can never succeed: a writer that gets each with a field `dead_letter` of reason, time
// and pipeline added, so that the record can be sent again. Thread-safe.
class DeadLetters {
 public:
  // `writer` may be null: then they are only counted and noted. `told` = where they are, to be noted with the
  // first; empty: not.
  DeadLetters(std::unique_ptr<IngestionWriter> writer, Environment& environment, StageCounters& counters,
              std::string told = "");
  // Where those go that the writer refuses for good, and what that place is called.
  void SetLastResort(std::unique_ptr<IngestionWriter> writer, std::string name);

  // The records that come have been through the processors before, all of them.
  void SetProcessed();
  // Else the first that is written opens the writer.
  Status Open(std::stop_token stop);
  // They are where the writer puts them when it returns, tried as often as it takes. Errors: kCancelled when
  // stopped before, with the last error; what `fatal` says.
  Status Write(const std::vector<DeadLetter>& letters, std::stop_token stop);
  Status Close();
  // Why they can never be written again. OK while they may. Thread-safe.
  Status fatal() const;

 private:
  // A writer that is opened with the first that it gets.
  struct Place {
    std::unique_ptr<IngestionWriter> writer;  // set before the first use
    bool is_open = false;
  };
  Status Put(Place& place, const Batch& batch, std::vector<int32_t> rows, std::vector<int32_t>* refused,
             std::stop_token stop);
  static Status TryOnce(Place& place, const Batch& batch, std::vector<int32_t>* rows,
                        std::vector<int32_t>* refused, std::string* why, std::stop_token stop);

  Place main_;  // under mutex_
  Environment& environment_;
  StageCounters& counters_;
  std::mutex mutex_;
  Place last_resort_;             // under mutex_
  std::string last_resort_name_;  // under mutex_
  std::string told_;              // under mutex_
  bool is_processed_ = false;     // under mutex_
};

// The field is called so in the records.
inline constexpr std::string_view kDeadLetterField = "dead_letter";

}  // namespace sluice::pipeline

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
  bool is_raw = false;  // a text that was no record, in `data`
};

// Where records go that can never succeed: a writer that gets each with a field `dead_letter` of reason, time
// and pipeline added, so that the record can be sent again. Thread-safe.
class DeadLetters {
 public:
  // `writer` may be null: then they are only counted and noted. `told` = where they are, to be noted with the
  // first; empty: not.
  DeadLetters(std::unique_ptr<IngestionWriter> writer, Environment& environment, StageCounters& counters,
              std::string told = "");

  // Else the first that is written opens the writer.
  Status Open(std::stop_token stop);
  // They are where the writer puts them when it returns, tried as often as it takes. Errors: kCancelled when
  // stopped before; the last error as its context.
  Status Write(const std::vector<DeadLetter>& letters, std::stop_token stop);
  Status Close();

 private:
  Result<bool> TryOnce(const Batch& batch, std::vector<int32_t>* rows, std::stop_token stop);

  const std::unique_ptr<IngestionWriter> writer_;
  Environment& environment_;
  StageCounters& counters_;
  std::mutex mutex_;
  bool is_open_ = false;  // under mutex_
  std::string told_;      // under mutex_
};

// The field is called so in the records.
inline constexpr std::string_view kDeadLetterField = "dead_letter";

}  // namespace sluice::pipeline

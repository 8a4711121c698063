#pragma once

#include <atomic>
#include <memory>
#include <stop_token>
#include <vector>

#include "pipeline/backoff.h"
#include "pipeline/connector.h"
#include "pipeline/dead_letters.h"
#include "pipeline/metrics.h"
#include "pipeline/work.h"

namespace sluice::pipeline {

// Errors that one row can cause for all of its batch: the batch is halved until that row is found.
bool MayBeOneRow(ErrorCode code);

// Brings work to the writer until each row has its outcome: tries failed rows again, and only those, finds
// the rows that spoil a batch, puts rejected ones to the dead letters. Thread-safe as far as the writer is.
class WriteStage {
 public:
  struct Parts {
    IngestionWriter& writer;
    DeadLetters& dead_letters;
    Circuit& circuit;
    StageCounters& counters;
    Environment& environment;
  };
  WriteStage(Parts parts, const RetryOptions& retry, bool keeps_places)
      : parts_(parts), retry_(retry), keeps_places_(keeps_places) {}

  // Returns when every row is resolved. After `abort` what is open fails.
  void Write(Work* work, const std::stop_token& abort);
  // Rejects rows of the input before any writing.
  struct Refused {
    int64_t input_row = 0;
    std::string reason;
    std::vector<std::string> writers = {};  // that lack it; empty = all
  };
  void Refuse(Work* work, const std::vector<Refused>& rows, const std::stop_token& abort);

 private:
  struct Reject {
    int32_t output_row = 0;
    std::string reason;
    std::vector<std::string> writers = {};  // that have not got it
  };
  // Writes rows of the output once and settles those that are final. Returns the rows to try again.
  std::vector<int32_t> Attempt(Work* work, const std::vector<int32_t>& rows, std::string* why,
                               const std::stop_token& abort);
  std::vector<int32_t> AfterError(Work* work, const std::vector<int32_t>& rows, const Error& error,
                                  std::string* why, const std::stop_token& abort);
  void Bury(Work* work, const std::vector<Reject>& rejects, const std::stop_token& abort);
  Status PutLetters(const std::vector<DeadLetter>& letters, const std::stop_token& abort);
  // Tells a writer that keeps positions how far the upstream was read, where no record does.
  void WritePlaces(const Work& work, const std::stop_token& abort);

  // Rows that waited for others get the outcomes of those.
  void SettleFollowers(Work* work, bool waits, const std::stop_token& abort);

  // The writer writes no more, for good; or it must not, as its positions would pass a record that has no
  // dead letter.
  bool IsOver(std::string* why) const;
  void NoteSometimes(size_t rows, const std::string& why);

  const Parts parts_;
  std::atomic<bool> lacks_letters_ = false;
  std::atomic<int64_t> next_note_millis_ = 0;  // a server that is down for long is not told of for each batch
  const RetryOptions retry_;
  const bool keeps_places_;
};

}  // namespace sluice::pipeline

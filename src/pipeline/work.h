#pragma once

#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "pipeline/batch.h"
#include "pipeline/intake_queue.h"

namespace sluice::pipeline {

class Receipt;

// A batch under way: rows of one or many deliveries, as they came in and as the processors made them, and
// what is known of each. Confined to whoever has it at the time.
class Work {
 public:
  // Rows of one delivery, or of several whose order does not count. `keeps_places` = positions are passed on.
  static Result<Work> Make(std::vector<Item> items, bool keeps_places);

  const Batch& input() const { return input_; }
  const Batch& output() const { return output_; }
  // Whether some upstream counts on its order, or on not hearing of failures.
  bool is_persistent() const { return is_persistent_; }
  // Of the rows that have their outcome by now.
  bool has_rejected() const { return has_rejected_; }
  bool has_failed() const { return has_failed_; }

  // From the processors' answer: who must hear of outcomes, and which rows wait for others.
  void TakeAside(Batch* output);
  // The processors' answer. Rows of the input that no row of it came from are done, but for followers.
  // Returns how many they are.
  int64_t SetOutput(Batch output);
  // Of a row of the input, once its outcome is final for the pipeline.
  void Resolve(int64_t input_row, Outcome outcome);
  // Of a row of the output: the worst of its rows is the outcome of a row of the input.
  void SettleOutput(int64_t output_row, const Outcome& outcome);
  // All rows without an outcome get this one, but for followers.
  void ResolveRest(const Outcome& outcome);
  // Rows that waited for others, as far as it is known now what became of those; with `waits` all of them,
  // failed after `stop`. They are not resolved yet: the caller does that.
  struct Followed {
    int64_t input_row = 0;
    Outcome outcome;          // kRejected: there is no dead letter of it yet,
    bool has_letter = false;  // unless something else that was made of the row was rejected too
  };
  std::vector<Followed> TakeFollowed(bool waits, const std::stop_token& stop);
  // The rows [begin, end) as work of its own; this one is not to be used any more then.
  Result<Work> Part(int64_t begin, int64_t end) const;

 private:
  struct Piece {
    std::shared_ptr<Receipt> receipt;
    int64_t first_row = 0;  // of the delivery
    int64_t begin = 0;      // of the input
    int64_t rows = 0;
  };
  bool IsFollower(size_t row) const { return followers_.contains(static_cast<int32_t>(row)); }

  Batch input_;
  Batch output_;
  std::vector<Piece> pieces_;
  bool is_persistent_ = false;
  bool has_rejected_ = false;
  bool has_failed_ = false;
  std::vector<std::shared_ptr<OutcomeWatcher>> watchers_;
  std::map<int32_t, std::vector<Follower>> followers_;  // by row of the input
  std::vector<bool> is_resolved_;
  std::vector<int32_t> open_;    // rows of the output that are not settled, by row of the input
  std::vector<Outcome> worst_;   // so far, by row of the input; only while several rows came from one
  int64_t open_of_all_ = 0;      // rows of the output that came from all of the input
  bool is_made_of_all_ = false;  // at least one
  Outcome worst_of_all_;
};

}  // namespace sluice::pipeline

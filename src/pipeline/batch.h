#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace arrow {
class RecordBatch;
}

namespace sluice::pipeline {

// Where an upstream that can be read again stands: partition -> the next position to read, and what the
// upstream itself needs to go on there (a cursor, the identity of a file; may be empty). This is the source
// state that the `odf` writer commits with the data (pipelines.md 4).
//
// `next` never goes back: an upstream that begins anew (another file under the name) goes on in the next
// epoch, which the bits from kEpochBits on count.
inline constexpr int kEpochBits = 44;
struct Place {
  int64_t next = 0;
  std::string cursor;
  // `next` is a number of the upstream's own, of any size, and there are no epochs.
  bool is_plain = false;
  bool operator==(const Place&) const = default;
};
using Places = std::map<std::string, Place>;
// As the JSON map that is kept as source state, in ASCII; keys in order, so that equal places have equal
// texts.
std::string PlacesToJson(const Places& places);
// Errors: kInvalidArgument for a text that is none.
Result<Places> PlacesFromJson(std::string_view json);

// What became of a record.
enum class OutcomeKind : uint8_t {
  kAccepted,   // stored, forwarded, or dropped on purpose
  kDuplicate,  // was there before
  kRejected,   // can never succeed; went to the dead letters
  kFailed,     // may succeed later
};

struct Outcome {
  OutcomeKind kind = OutcomeKind::kAccepted;
  std::string reason;  // of kRejected and kFailed
  // Of kRejected by a writer of several parts: those that have not got the record. Empty = nobody has.
  std::vector<std::string> parts = {};

  bool is_final() const { return kind != OutcomeKind::kFailed; }
};
using Outcomes = std::vector<Outcome>;  // one for each row

// Of several outcomes of one record the worst counts: the one with the greatest number.
int Badness(OutcomeKind kind);

class Fates;           // pipeline/fates.h
class OutcomeWatcher;  // pipeline/fates.h

// A row that a processor left out because another record says the same: what becomes of that one becomes of
// it. Never to be told to the upstream before it is known.
struct Follower {
  int32_t input_row = 0;               // of the batch that entered the processors
  std::shared_ptr<const Fates> fates;  // of the batch of the other one; null = that one is stored
  int32_t other = 0;                   // its row there
};

// Records on their way through a pipeline. Values: cheap to copy.
struct Batch {
  std::shared_ptr<arrow::RecordBatch> records;  // of RecordSchema()
  // For each row: which row of the batch that entered the processors it came from; -1 = from all of them.
  // Empty = each from the row with its own number.
  std::vector<int32_t> origins;
  // What a processor adds to its answer; the runner takes it from there. A row may only follow one of an
  // earlier batch, or one of its own batch that does not follow it.
  std::vector<Follower> followers;
  std::vector<std::shared_ptr<OutcomeWatcher>> watchers;
  // Of records whose upstream has positions, all of one partition: for each row the position behind it, in
  // ascending order. Empty when there are none.
  std::string partition;
  std::vector<int64_t> next;
  // Where the upstream stands when this batch is done, this partition included. Empty when there are none.
  Places places;

  int64_t rows() const;
};

}  // namespace sluice::pipeline

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/result.h"
#include "push/input.h"

namespace sluice::push {

// A source's state: opaque, of a kind.
struct State {
  std::string kind;
  std::string value;
};

struct SourceInfo {
  std::string name;
  std::string format;              // of its read step: `NdJson`, `Csv`, ...
  std::optional<bool> has_header;  // of a Csv, where it is known
  std::string merge;               // its strategy: `Append`, `Snapshot`, ...; empty where it is not known
  std::optional<State> accepted;   // after every batch taken so far
};

struct PushCall {
  std::string_view body;
  std::string if_state;         // `*` = none yet; empty = the batch has no state
  std::string next_state;       // empty together with `if_state`
  std::string state_kind = {};  // empty = kPositionKind
  std::string key = {};         // idempotency key; empty = none
};

// What became of a batch.
struct PushReply {
  enum class Kind {
    kTaken,
    kDuplicate,  // it had been taken before
    kBehind,     // the source is not where it was believed to be (412)
    kTooLarge,   // smaller batches may do
    kLater,      // nothing is known of it, or it was not taken for now: repeat
    kRefused,    // for good
  };
  Kind kind = Kind::kLater;
  std::optional<State> accepted;                         // kBehind: nothing = no state
  std::optional<std::chrono::milliseconds> retry_after;  // kLater
  uint64_t added = 0;                                    // rows written
  Error error{ErrorCode::kUnavailable, ""};              // of all but the first two
};

// Where batches go: a node, or a dataset of this machine. Confined.
class Target {
 public:
  virtual ~Target() = default;
  // Errors: those with IsRetryable are worth another try.
  virtual Result<SourceInfo> Describe() = 0;
  virtual PushReply Push(const PushCall& call) = 0;
};

struct PushOptions {
  bool take_as_new = false;  // from the beginning of the inputs, whatever the source's state says
  // How long one batch, or the first question, is tried for.
  std::chrono::milliseconds retry_for{600'000};
  std::chrono::milliseconds first_pause{100};
  std::chrono::milliseconds longest_pause{10'000};
};

struct PushReport {
  uint64_t batches = 0;
  uint64_t rows = 0;        // read and taken
  uint64_t bytes = 0;       // of them
  uint64_t added = 0;       // rows written by the dataset, as far as it said so
  uint64_t duplicates = 0;  // batches that had been taken before
  uint64_t retries = 0;
};

// Told how it gets on; null = not told.
struct PushEvents {
  std::function<void(const PushReport&)> on_batch;
  std::function<void(const Error& why, std::chrono::milliseconds pause)> on_retry;
};

// Asks for the source until it answers, or for `retry_for`. Errors: those of Describe.
Result<SourceInfo> DescribeSource(Target& target, const PushOptions& options, const PushEvents& events,
                                  std::stop_token stop);

// The exactly-once loop (push-protocol.md 4): every record of `input` that lies behind the source's state, in
// order, each batch with compare-and-set, repeated until its outcome is known. Crashes of either side, and
// lost answers, neither lose nor double a record. Errors: kPrecondition when the source's state is not one of
// the input's (a person must decide); what the target refused; kTimeout or kUnavailable after `retry_for`;
// kCancelled. What was taken until then stays taken.
Result<PushReport> PushAll(Target& target, const SourceInfo& source, Input& input, const PushOptions& options,
                           const PushEvents& events, std::stop_token stop);

}  // namespace sluice::push

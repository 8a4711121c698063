#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.h"
#include "base/result.h"
#include "multiformats/multihash.h"
#include "odf/events.h"

namespace sluice::gateway {

using Digest = std::array<uint8_t, 16>;

// Value and kind of a source's state.
struct State {
  std::string kind, value;
  bool operator==(const State&) const = default;
};

// What became of a batch (push-protocol.md 3). Fields that are not known any more are absent.
struct Outcome {
  enum class Status : uint8_t {
    kQueued = 1,
    kCommitted = 2,
    kUpToDate = 3,
    kFailed = 4,     // a queued batch that can never be committed: in the dead letters
    kDropped = 5,    // given up by the operator
    kWithdrawn = 6,  // was committed, and taken out by a reset
  };
  Status status = Status::kCommitted;
  std::string source;      // its name; not stored with the outcome
  bool duplicate = false;  // shown for a repeat; `status` is the first answer's
  std::optional<multiformats::Multihash> old_head, new_head, block_hash;
  std::optional<uint64_t> sequence;  // of block_hash
  std::optional<odf::OffsetInterval> offsets;
  std::optional<int64_t> received, added;
  std::optional<State> state;  // of the source, after the batch
  std::optional<Instant> watermark;
  std::string receipt;  // of a queued batch
  // kFailed: why.
  ErrorCode error_code = ErrorCode::kInternal;
  std::string error_message;

  bool is_success() const { return status == Status::kCommitted || status == Status::kUpToDate; }
};

// `committed`, `up-to-date`, `queued`, ...; `duplicate` for a repeat.
std::string_view NameOf(const Outcome& outcome);
std::string_view NameOf(Outcome::Status status);

}  // namespace sluice::gateway

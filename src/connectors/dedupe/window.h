#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "pipeline/fates.h"

namespace sluice::connectors::dedupe {

// A key of a record: 128 bits of a hash, so that memory does not depend on the keys' lengths.
using Key = std::array<uint64_t, 2>;

struct KeyHash {
  size_t operator()(const Key& key) const { return static_cast<size_t>(key[0]); }
};

// Which keys are on their way, and which were stored within a time: of these at most so many, the oldest are
// forgotten first. Thread-safe.
class Window {
 public:
  using Clock = std::chrono::steady_clock;
  Window(std::chrono::milliseconds span, size_t max_keys);

  // `kind` keeps keys apart that are made of different fields. The hash is keyed with random bytes, so that
  // nobody can make two records collide.
  Key KeyOf(char kind, const std::vector<std::string_view>& parts) const;

  enum class State { kNew, kUnderWay, kStored };
  struct Seen {
    State state = State::kNew;
    std::shared_ptr<const pipeline::Fates> fates;  // of kUnderWay: whose row `row` it is
    int32_t row = 0;
  };
  // Of the keys together: stored when one of them is.
  Seen Find(const std::vector<Key>& keys, Clock::time_point now) EXCLUDES(mutex_);
  // New keys are under way from now on, as row `row` of `fates`.
  void Enter(const std::vector<Key>& keys, const std::shared_ptr<const pipeline::Fates>& fates, int32_t row)
      EXCLUDES(mutex_);
  // The record that entered is stored, or is not and may come again.
  void Store(const std::vector<Key>& keys, Clock::time_point now) EXCLUDES(mutex_);
  void Forget(const std::vector<Key>& keys) EXCLUDES(mutex_);
  size_t size() const EXCLUDES(mutex_);

 private:
  struct Entry {
    std::shared_ptr<const pipeline::Fates> fates;  // null = stored
    int32_t row = 0;
    uint64_t number = 0;  // in `order_`: the entry may have been renewed
  };
  struct Stored {
    Clock::time_point at;
    Key key;
    uint64_t number;
  };
  void Expire(Clock::time_point now) REQUIRES(mutex_);

  const std::chrono::milliseconds span_;
  const size_t max_keys_;
  std::array<uint8_t, 192> secret_ = {};
  mutable Mutex mutex_;
  std::unordered_map<Key, Entry, KeyHash> entries_ GUARDED_BY(mutex_);
  std::deque<Stored> order_ GUARDED_BY(mutex_);  // of those stored, the oldest in front
  uint64_t next_number_ GUARDED_BY(mutex_) = 1;
};

}  // namespace sluice::connectors::dedupe

#pragma once

#include <chrono>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "pipeline/batch.h"
#include "pipeline/config.h"

namespace sluice::pipeline {

class Receipt;

// Rows of one delivery on their way to the writer.
struct Item {
  std::shared_ptr<Receipt> receipt;
  Batch batch;
  int64_t first_row = 0;  // of the delivery
  uint64_t bytes = 0;
  std::chrono::steady_clock::time_point arrival;
};

struct TakeLimits {
  int64_t max_records = 10'000;
  uint64_t max_bytes = 16 << 20;
  Millis max_age{0};
};

// Where deliveries wait. Flows (a tenant, or a partition with an order of its own) take turns, so that the
// flood of one does not starve another; none may fill the room to the brim. What was taken out counts until
// Release. Hands out batches only when a slot, a writer with nothing to do, is free. Thread-safe.
class IntakeQueue {
 public:
  IntakeQueue(const QueueOptions& options, int slots) : options_(options), free_slots_(slots) {}

  // Waits at most `patience` for room for a delivery, which is to be released later. Errors:
  // kResourceExhausted; kUnavailable once closed; nothing was taken then.
  Status Reserve(const std::string& flow, int64_t records, uint64_t bytes, Millis patience);
  // The items of a delivery that has its room. Errors: kUnavailable once closed; the items are gone then,
  // their room is still to be released.
  Status Put(const std::string& flow, std::vector<Item> items);
  // Both.
  Status Push(const std::string& flow, std::vector<Item> items, int64_t records, uint64_t bytes,
              Millis patience);
  // The next batch, in turns over the flows: at once when a slot is free and there is anything that is old
  // enough, one batch ahead when a full one waits. Takes a slot. Empty once closed and drained, or cancelled.
  // A delivery larger than the limits is handed out in parts. For one thread.
  std::vector<Item> Take(const TakeLimits& limits);
  void ReturnSlot();
  // Of a delivery all of whose outcomes are known.
  void Release(int64_t records, uint64_t bytes);

  // From now on nothing is held for its age.
  void Hurry();
  // Nothing more comes in; what is there can be taken, and what is taken is no longer held for its age.
  void Close();
  // Takes no more either. Returns what nobody will take, for its outcomes.
  std::vector<Item> Cancel();
  // What is queued or on its way.
  int64_t records() const;
  uint64_t bytes() const;
  int64_t queued() const;

 private:
  struct Flow {
    std::string name;
    std::deque<Item> items;
    int64_t records = 0;
    uint64_t bytes = 0;
    int64_t deficit = 0;
  };

  bool HasRoom(const std::string& flow, int64_t rows, uint64_t bytes) const REQUIRES(mutex_);
  bool CanTake(const TakeLimits& limits, std::chrono::steady_clock::time_point now) const REQUIRES(mutex_);
  std::chrono::steady_clock::time_point Oldest() const REQUIRES(mutex_);
  void TellTaker() REQUIRES(mutex_);
  std::vector<Item> TakeInTurns(const TakeLimits& limits) REQUIRES(mutex_);

  const QueueOptions options_;
  mutable Mutex mutex_;
  CondVar has_room_, may_take_;
  std::optional<TakeLimits> awaited_ GUARDED_BY(mutex_);  // by the one thread that is in Take
  bool is_told_ GUARDED_BY(mutex_) = false;               // to look again
  std::list<Flow> turns_ GUARDED_BY(mutex_);              // flows with something in them, the next in front
  std::map<std::string, std::list<Flow>::iterator> flows_ GUARDED_BY(mutex_);
  int free_slots_ GUARDED_BY(mutex_);
  int64_t queued_records_ GUARDED_BY(mutex_) = 0;
  uint64_t queued_bytes_ GUARDED_BY(mutex_) = 0;
  int64_t held_records_ GUARDED_BY(mutex_) = 0;
  uint64_t held_bytes_ GUARDED_BY(mutex_) = 0;
  bool is_hurrying_ GUARDED_BY(mutex_) = false;
  bool is_closed_ GUARDED_BY(mutex_) = false;
  bool is_cancelled_ GUARDED_BY(mutex_) = false;
};

}  // namespace sluice::pipeline

#include "pipeline/intake_queue.h"

#include <arrow/record_batch.h>

#include <algorithm>

namespace sluice::pipeline {
namespace {

using SteadyClock = std::chrono::steady_clock;

// What a flow may take before the next one has its turn.
constexpr int64_t kTurnBytes = 64 << 10;
// A flow may grow to so many times the room that is left: a single one takes 80 % at most, and a newcomer
// always finds some.
constexpr uint64_t kShare = 4;

// The first `rows` of an item; the item keeps the rest.
Item CutFront(Item* item, int64_t rows) {
  Item front;
  front.receipt = item->receipt;
  front.first_row = item->first_row;
  front.arrival = item->arrival;
  front.batch.partition = item->batch.partition;
  front.batch.places = item->batch.places;
  front.batch.records = item->batch.records->Slice(0, rows);
  item->batch.records = item->batch.records->Slice(rows);
  if (!item->batch.next.empty()) {
    const auto middle = item->batch.next.begin() + rows;
    front.batch.next.assign(item->batch.next.begin(), middle);
    item->batch.next.erase(item->batch.next.begin(), middle);
    // Where the upstream stands is known behind the last part only, but for this partition.
    auto& place = front.batch.places[front.batch.partition];
    place.next = front.batch.next.back();
  }
  const int64_t all = rows + item->batch.rows();
  front.bytes = item->bytes * static_cast<uint64_t>(rows) / static_cast<uint64_t>(all);
  item->bytes -= front.bytes;
  item->first_row += rows;
  return front;
}

}  // namespace

bool IntakeQueue::HasRoom(const std::string& flow, int64_t rows, uint64_t bytes) const {
  if (held_records_ == 0) return true;  // a delivery larger than the room goes alone
  if (held_records_ + rows > options_.max_records || held_bytes_ + bytes > options_.max_bytes) return false;
  const auto found = flows_.find(flow);
  if (found == flows_.end()) return true;
  const auto free_records = static_cast<uint64_t>(options_.max_records - held_records_ - rows);
  const uint64_t free_bytes = options_.max_bytes - held_bytes_ - bytes;
  return static_cast<uint64_t>(found->second->records + rows) <= kShare * free_records &&
         found->second->bytes + bytes <= kShare * free_bytes;
}

Status IntakeQueue::Push(const std::string& flow, std::vector<Item> items, int64_t records, uint64_t bytes,
                         Millis patience) {
  RETURN_IF_ERROR(Reserve(flow, records, bytes, patience));
  Status status = Put(flow, std::move(items));
  if (!status.ok()) Release(records, bytes);
  return status;
}

Status IntakeQueue::Reserve(const std::string& flow, int64_t records, uint64_t bytes, Millis patience) {
  MutexLock lock(mutex_);
  const bool found = has_room_.WaitFor(mutex_, patience, [&]() NO_THREAD_SAFETY_ANALYSIS {
    return is_closed_ || HasRoom(flow, records, bytes);
  });
  if (is_closed_) return MakeError(ErrorCode::kUnavailable, "the pipeline takes no more records");
  if (!found)
    return MakeError(ErrorCode::kResourceExhausted, "the pipeline is full: {} records wait", held_records_);
  held_records_ += records;
  held_bytes_ += bytes;
  return {};
}

Status IntakeQueue::Put(const std::string& flow, std::vector<Item> items) {
  MutexLock lock(mutex_);
  if (is_closed_) return MakeError(ErrorCode::kUnavailable, "the pipeline takes no more records");
  auto [entry, is_new] = flows_.try_emplace(flow);
  if (is_new) {
    turns_.push_back(Flow{flow, {}, 0, 0, 0});
    entry->second = std::prev(turns_.end());
  }
  const bool was_empty = turns_.front().items.empty();
  Flow& queue = *entry->second;
  for (auto& item : items) {
    item.arrival = SteadyClock::now();
    // Positions alone have no bound of their own; the last says it all.
    if (item.batch.rows() == 0 && !queue.items.empty() && queue.items.back().batch.rows() == 0)
      queue.items.pop_back();
    queue.records += item.batch.rows();
    queue.bytes += item.bytes;
    queued_records_ += item.batch.rows();
    queued_bytes_ += item.bytes;
    queue.items.push_back(std::move(item));
  }
  // While all slots are taken there is nothing to wake anybody for.
  if (awaited_ && (was_empty || CanTake(*awaited_, SteadyClock::now()))) TellTaker();
  return {};
}

void IntakeQueue::TellTaker() {
  is_told_ = true;
  may_take_.NotifyOne();
}

SteadyClock::time_point IntakeQueue::Oldest() const {
  auto oldest = SteadyClock::time_point::max();
  for (const auto& flow : turns_) oldest = std::min(oldest, flow.items.front().arrival);
  return oldest;
}

bool IntakeQueue::CanTake(const TakeLimits& limits, SteadyClock::time_point now) const {
  if (turns_.empty()) return false;
  const bool is_full = queued_records_ >= limits.max_records || queued_bytes_ >= limits.max_bytes;
  if (free_slots_ <= 0) return is_full && free_slots_ > -1;
  return is_full || is_hurrying_ || is_closed_ || limits.max_age.count() == 0 ||
         now - Oldest() >= limits.max_age;
}

std::vector<Item> IntakeQueue::Take(const TakeLimits& limits) {
  MutexLock lock(mutex_);
  while (true) {
    if (is_cancelled_ || (is_closed_ && turns_.empty())) return {};
    const auto now = SteadyClock::now();
    if (CanTake(limits, now)) break;
    const bool waits_for_age = !turns_.empty() && free_slots_ > 0;
    const auto patience =
        waits_for_age ? std::chrono::ceil<Millis>(Oldest() + limits.max_age - now) : Millis(1000);
    awaited_ = limits;
    is_told_ = false;
    may_take_.WaitFor(mutex_, std::max(patience, Millis(1)),
                      [&]() NO_THREAD_SAFETY_ANALYSIS { return is_told_; });
    awaited_.reset();
  }
  --free_slots_;
  return TakeInTurns(limits);
}

std::vector<Item> IntakeQueue::TakeInTurns(const TakeLimits& limits) {
  std::vector<Item> taken;
  int64_t records = 0;
  uint64_t bytes = 0;
  while (!turns_.empty() && records < limits.max_records && bytes < limits.max_bytes) {
    Flow& flow = turns_.front();
    flow.deficit += kTurnBytes;
    bool is_over = false;
    while (!flow.items.empty() && flow.deficit > 0 && !is_over) {
      Item& front = flow.items.front();
      int64_t room = limits.max_records - records;
      if (front.bytes > limits.max_bytes && front.batch.rows() > 1) {
        // By its average row: a part of what is larger than a batch may be.
        const auto rows = static_cast<uint64_t>(front.batch.rows());
        room = std::min(
            room, static_cast<int64_t>(std::max<uint64_t>(1, limits.max_bytes / (front.bytes / rows + 1))));
      }
      is_over = records >= limits.max_records || bytes >= limits.max_bytes ||
                (records > 0 && bytes + front.bytes > limits.max_bytes);
      if (is_over) break;
      Item item;
      if (front.batch.rows() > room) {
        item = CutFront(&front, room);
      } else {
        item = std::move(front);
        flow.items.pop_front();
      }
      records += item.batch.rows();
      bytes += item.bytes;
      flow.deficit -= static_cast<int64_t>(item.bytes) + 1;
      flow.records -= item.batch.rows();
      flow.bytes -= item.bytes;
      taken.push_back(std::move(item));
    }
    if (flow.items.empty()) {
      flows_.erase(flow.name);
      turns_.pop_front();
    } else {
      turns_.splice(turns_.end(), turns_, turns_.begin());
    }
    if (is_over) break;
  }
  queued_records_ -= records;
  queued_bytes_ -= bytes;
  has_room_.NotifyAll();  // shares have changed
  return taken;
}

void IntakeQueue::ReturnSlot() {
  MutexLock lock(mutex_);
  ++free_slots_;
  TellTaker();
}

void IntakeQueue::Release(int64_t records, uint64_t bytes) {
  MutexLock lock(mutex_);
  held_records_ -= records;
  held_bytes_ -= bytes;
  has_room_.NotifyAll();
}

void IntakeQueue::Hurry() {
  MutexLock lock(mutex_);
  is_hurrying_ = true;
  TellTaker();
}

void IntakeQueue::Close() {
  MutexLock lock(mutex_);
  is_closed_ = true;
  has_room_.NotifyAll();
  TellTaker();
}

std::vector<Item> IntakeQueue::Cancel() {
  MutexLock lock(mutex_);
  is_closed_ = is_cancelled_ = true;
  std::vector<Item> left;
  for (Flow& flow : turns_) std::move(flow.items.begin(), flow.items.end(), std::back_inserter(left));
  turns_.clear();
  flows_.clear();
  queued_records_ = 0;
  queued_bytes_ = 0;
  has_room_.NotifyAll();
  TellTaker();
  return left;
}

int64_t IntakeQueue::records() const {
  MutexLock lock(mutex_);
  return held_records_;
}
uint64_t IntakeQueue::bytes() const {
  MutexLock lock(mutex_);
  return held_bytes_;
}
int64_t IntakeQueue::queued() const {
  MutexLock lock(mutex_);
  return queued_records_;
}

}  // namespace sluice::pipeline

// From a push that is worth reading to a batch that is taken. Pushes that come while others are being read
// are read together: what a body of one record costs is then shared by many.
#include <algorithm>
#include <iterator>
#include <map>

#include "base/random.h"
#include "gateway/lane_internal.h"

namespace sluice::gateway {
namespace {

constexpr size_t kNonceSize = 16;
constexpr uint64_t kReaderThreadBytes = 4 << 20;  // a body for which a second reading thread pays
constexpr size_t kSmallBodyBytes = 16 << 10;      // beyond it there is nothing to share
constexpr size_t kMostReadTogether = 64;          // of the queue: as one block of the reader
constexpr int64_t kQueryMillis =
    60'000;  // a run of a source's query: the dataset's other batches wait for it

}  // namespace

Result<std::shared_ptr<ingest::FramePlan>> Lane::PlanOf(const std::string& source,
                                                        std::optional<read::InputFormat> format,
                                                        const odf::ChainState& chain) {
  std::lock_guard lock(plans_mutex_);
  auto& known = plans_[{source, format}];
  if (known.plan && (known.head == chain.head || known.plan->HoldsFor(chain))) {
    known.head = chain.head;
    return known.plan;
  }
  known = {};
  ASSIGN_OR_RETURN(auto definition, ingest::SelectPushSource(chain, source));
  ASSIGN_OR_RETURN(known.plan, ingest::FramePlan::Make(std::move(definition), chain, format));
  known.head = chain.head;
  return known.plan;
}

ingest::FrameOptions Lane::FrameOptionsFor(size_t body_bytes) const {
  ingest::FrameOptions options;
  options.read.threads = body_bytes > kReaderThreadBytes ? 2 : 1;
  options.read.spill_folder = scratch_->folder();
  options.read.stop = shared_.stop.get_token();
  options.sql.spill_folder = scratch_->folder();
  options.sql.time_ms = kQueryMillis;
  return options;
}

Status Lane::MakeReady(Batch& batch, const odf::ChainState& chain, Refusal* refusal) {
  auto plan = PlanOf(batch.source, batch.format, chain);
  if (plan.ok()) return MakeReady(batch, std::move(*plan), refusal);
  refusal->error = plan.error();
  return plan.error();
}

Status Lane::MakeReady(Batch& batch, std::shared_ptr<ingest::FramePlan> plan, Refusal* refusal) const {
  const auto fail = [&](Error error) -> Status {
    refusal->error = error;
    return error;
  };
  auto rejects = ingest::RejectLog::Open(ingest::OnError::kFail, "");
  if (!rejects.ok()) return fail(std::move(rejects).error());
  auto ready = ingest::MakeReady(std::move(plan), read::MakeSharedSource(batch.body, "request body"),
                                 **rejects, FrameOptionsFor(batch.body->size()));
  if (!ready.ok()) {
    refusal->rejects = (*rejects)->first();
    refusal->reject_count = (*rejects)->count();
    if (refusal->reject_count == 0) return fail(std::move(ready).error());
    return fail(MakeError(ErrorCode::kInvalidRecords,
                          "{} record{} not fit the source, nothing was committed; the first: {}",
                          refusal->reject_count, refusal->reject_count == 1 ? " does" : "s do",
                          ingest::Describe(refusal->rejects.front())));
  }
  batch.ready.emplace(std::move(*ready));
  return {};
}

// --- together ---

struct PushTogether::Collected {
  std::map<std::shared_ptr<Lane>, std::vector<Lane::Arrival>> by_lane;
};

thread_local PushTogether* PushTogether::current_ = nullptr;

PushTogether::PushTogether() : collected_(std::make_unique<Collected>()) { current_ = this; }

PushTogether::~PushTogether() {
  current_ = nullptr;
  for (auto& [lane, arrivals] : collected_->by_lane) lane->Admit(std::move(arrivals));
}

void Lane::Arrive(Arrival arrival, const odf::ChainState& chain) {
  const auto& body = *arrival.batch->body;
  if (PushTogether::current_ != nullptr && body.size() <= kSmallBodyBytes &&
      ingest::LooksLikeOneRecord(body)) {
    auto plan = PlanOf(arrival.batch->source, arrival.batch->format, chain);
    if (plan.ok() && (*plan)->IsRecordByRecord()) {
      arrival.plan = std::move(*plan);
      PushTogether::current_->collected_->by_lane[shared_from_this()].push_back(std::move(arrival));
      return;
    }
  }
  std::vector<Arrival> alone;
  alone.push_back(std::move(arrival));
  Admit(std::move(alone));
}

void Lane::Admit(std::vector<Arrival> arrivals) {
  // They come at one time: rows that get their event time from it can be merged together.
  const Instant now = shared_.clock->Now();
  for (size_t begin = 0, end = 0; begin < arrivals.size(); begin = end) {
    const auto plan = arrivals[begin].plan;
    std::vector<Batch*> batches;
    for (end = begin; end < arrivals.size() && arrivals[end].plan == plan; ++end)
      batches.push_back(arrivals[end].batch.get());
    if (!plan) continue;
    ReadTogether(plan, batches);
    for (Batch* batch : batches)
      if (batch->ready) batch->received = now;
  }
  const auto chain = view();
  std::vector<Arrival> good;
  good.reserve(arrivals.size());
  for (auto& arrival : arrivals) {
    Refusal refusal{.error = Internal("refused")};
    if (!arrival.batch->ready && !MakeReady(*arrival.batch, *chain, &refusal).ok()) {
      arrival.done(std::move(refusal));
    } else {
      good.push_back(std::move(arrival));
    }
  }
  Take(std::move(good));
}

void Lane::ReadTogether(const std::shared_ptr<ingest::FramePlan>& plan,
                        std::span<Batch* const> batches) const {
  if (batches.size() < 2) return;
  std::vector<std::string_view> bodies;
  size_t bytes = 0;
  for (const Batch* batch : batches) bytes += bodies.emplace_back(*batch->body).size();
  auto ready = ingest::MakeReadyTogether(plan, bodies, FrameOptionsFor(bytes));
  if (!ready.ok() || !*ready) {
    ReadTogether(plan, batches.first(batches.size() / 2));
    ReadTogether(plan, batches.subspan(batches.size() / 2));
    return;
  }
  for (size_t i = 0; i < batches.size(); ++i) batches[i]->ready = std::move((**ready)[i]);
}

void Lane::ReadQueuedTogether(const std::vector<BatchPtr>& group, const odf::ChainState& chain) {
  std::map<std::shared_ptr<ingest::FramePlan>, std::vector<Batch*>> records;
  // Those that were good when they came, and are no more, are found when each is read by itself.
  const auto read = [this](const auto& plan, std::vector<Batch*>& batches) {
    ReadTogether(plan, batches);
    batches.clear();
  };
  for (const auto& batch : group) {
    if (batch->ready || batch->body_bytes > kSmallBodyBytes) continue;
    if (!Load(*batch).ok() || !ingest::LooksLikeOneRecord(*batch->body)) continue;
    auto plan = PlanOf(batch->source, batch->format, chain);
    if (!plan.ok() || !(*plan)->IsRecordByRecord()) continue;
    auto& batches = records[*plan];
    batches.push_back(batch.get());
    if (batches.size() == kMostReadTogether) read(*plan, batches);
  }
  for (auto& [plan, batches] : records) read(plan, batches);
}

// --- taking ---

std::chrono::seconds Lane::QueueAge() const {
  for (const auto& batch : waiting_) {
    if (batch->place) return std::chrono::seconds(shared_.clock->Now().seconds - batch->received.seconds);
  }
  return std::chrono::seconds(0);
}

Result<Place> Lane::Enqueue(Batch& batch, Journal& journal) {
  QueuedBatch header;
  header.dataset = entry_.id;
  header.source = batch.source;
  header.activation = batch.activation;
  header.account = batch.account;
  header.nonce = batch.nonce = RandomName(kNonceSize);
  header.received = batch.received;
  header.event_time = batch.event_time;
  header.format = batch.format ? read::CodeOf(*batch.format) : 0;
  header.allow_empty = batch.allow_empty;
  header.state = batch.state;
  header.expected = batch.expected;
  header.key = batch.key;
  header.payload = batch.payload;
  return journal.Enqueue(header, *batch.body);
}

std::function<void()> Lane::TakeOne(Arrival& arrival, const std::shared_ptr<Journal>& journal) {
  const auto& request = arrival.request;
  const auto& batch = arrival.batch;
  const auto busy = [&](Error error, int seconds) {
    return [done = arrival.done, refusal = Busy(std::move(error), seconds)] { done(refusal); };
  };
  const bool queued = request->respond_async || shared_.options.ack_durable;
  batch->charged_bytes = kBatchOverhead + batch->body_bytes;
  std::function<void()> answer;
  if (AnswerWithoutTaking(request, batch, arrival.done, &answer)) return answer;
  if (!queued) {
    if (!shared_.memory->MayTake(batch->account, batch->charged_bytes)) {
      return busy(MakeError(ErrorCode::kUnavailable, "too much waits to be committed; try again later"),
                  kRetrySoonSeconds);
    }
    batch->waiters.push_back({std::move(arrival.done), false});
    Enter(batch);
    return nullptr;
  }
  if (const auto age = QueueAge(); age > shared_.options.max_queue_age) {
    return busy(MakeError(ErrorCode::kUnavailable,
                          "the oldest queued batch of '{}' has waited for {} h, nothing more is queued "
                          "behind it: 'sluice status' says why",
                          entry_.alias, age.count() / 3600),
                kRetryLaterSeconds);
  }
  if (!shared_.queue->MayTake(batch->account, batch->body_bytes)) {
    return busy(MakeError(ErrorCode::kUnavailable,
                          "as much is queued as this account may have in the queue; try again later"),
                kRetrySoonSeconds);
  }
  auto place = Enqueue(*batch, *journal);
  if (!place.ok()) return busy(std::move(place).error(), kRetrySoonSeconds);
  batch->place = *place;
  batch->journal = journal;
  batch->receipt = journal->ReceiptOf(*place, batch->nonce);
  if (shared_.memory->total() + batch->charged_bytes > shared_.options.max_waiting_bytes / 2) {
    batch->body = nullptr;  // it is in the queue
    batch->ready.reset();
    batch->charged_bytes = kBatchOverhead;
  }
  Enter(batch);
  return nullptr;
}

void Lane::Take(std::vector<Arrival> arrivals) {
  const auto journal = shared_.journal();
  std::vector<std::function<void()>> answers;
  std::vector<Arrival> queued;
  {
    MutexLock lock(mutex_);
    for (auto& arrival : arrivals) {
      if (auto answer = TakeOne(arrival, journal)) {
        answers.push_back(std::move(answer));
      } else if (arrival.batch->place) {
        queued.push_back(std::move(arrival));
      }
    }
    if (!waiting_.empty()) Schedule();
  }
  for (const auto& answer : answers) answer();
  if (queued.empty()) return;
  const Place last = *queued.back().batch->place;
  shared_.acknowledger->Await(
      journal, last, [this, self = shared_from_this(), queued = std::move(queued)](const Status& status) {
        OnQueued(queued, status);
        for (const auto& arrival : queued) {
          if (!status.ok()) {
            arrival.done(Busy(status.error(), kRetrySoonSeconds));
            continue;
          }
          const auto& batch = arrival.batch;
          Outcome outcome;
          outcome.status = Outcome::Status::kQueued;
          outcome.source = batch->source;
          outcome.state = batch->state;
          outcome.receipt = batch->receipt;
          arrival.done(std::move(outcome));
        }
      });
}

// Batches whose records did not become durable were never taken.
void Lane::OnQueued(const std::vector<Arrival>& arrivals, const Status& status) {
  std::vector<std::function<void()>> calls;
  if (!status.ok()) shared_.NoteFailure(status.error());
  {
    MutexLock lock(mutex_);
    for (const auto& arrival : arrivals) {
      Batch& batch = *arrival.batch;
      if (status.ok()) {
        batch.is_durable = true;
      } else if (waiting_.Contains(arrival.batch)) {
        Leave(arrival.batch);
        for (auto& waiter : batch.waiters) {
          calls.push_back([done = std::move(waiter.done), refusal = Busy(status.error(), kRetrySoonSeconds)] {
            done(refusal);
          });
        }
        batch.waiters.clear();
      }
      std::move(batch.afterwards.begin(), batch.afterwards.end(), std::back_inserter(calls));
      batch.afterwards.clear();
    }
    changed_.NotifyAll();
  }
  for (const auto& call : calls) call();
}

}  // namespace sluice::gateway

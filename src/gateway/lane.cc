// Taking batches: what a push is answered before anything is merged.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "gateway/lane_internal.h"
#include "ingest/source_state.h"
#include "multiformats/multihash.h"

namespace sluice::gateway {
namespace {

constexpr size_t kMaxStateBytes = 4096;
constexpr size_t kMaxKeyBytes = 255;

bool IsVisible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

Status CheckState(std::string_view what, const std::string& value) {
  if (value.empty() || value.size() > kMaxStateBytes || !IsVisible(value) || value[0] == '*') {
    return InvalidArgument("{} is 1 to {} visible ASCII characters and does not start with '*', not '{}'",
                           what, kMaxStateBytes, value.substr(0, 100));
  }
  return {};
}

Status CheckRequest(const PushRequest& request, Refusal* refusal) {
  if (request.next_state.has_value() != request.if_state.has_value()) {
    refusal->http_status = 428;
    return MakeError(
        ErrorCode::kInvalidArgument,
        "ODF-Source-State and ODF-If-Source-State go together: give both or neither ('*' stands for "
        "no state yet)");
  }
  if (request.next_state) {
    RETURN_IF_ERROR(CheckState("ODF-Source-State", *request.next_state));
    if (*request.if_state != "*") RETURN_IF_ERROR(CheckState("ODF-If-Source-State", *request.if_state));
    if (request.next_state == request.if_state)
      return InvalidArgument("the next state '{}' is the same as the expected one", *request.next_state);
  }
  if (request.state_kind) {
    if (!request.next_state) return InvalidArgument("ODF-Source-State-Kind without ODF-Source-State");
    if (*request.state_kind == ingest::kFileStateKind)
      return InvalidArgument("kind '{}' is kept for files: choose another kind of state",
                             *request.state_kind);
    if (request.state_kind->empty() || request.state_kind->size() > kMaxKeyBytes ||
        !IsVisible(*request.state_kind)) {
      return InvalidArgument("a kind of state is 1 to {} visible ASCII characters, not '{}'", kMaxKeyBytes,
                             request.state_kind->substr(0, 100));
    }
  }
  if (request.idempotency_key) {
    const auto& key = *request.idempotency_key;
    if (key.empty() || key.size() > kMaxKeyBytes || !IsVisible(key)) {
      return InvalidArgument("an idempotency key is 1 to {} visible ASCII characters, not '{}'", kMaxKeyBytes,
                             key.substr(0, 100));
    }
  }
  return {};
}

Digest PayloadDigest(const PushRequest& request) {
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  const auto add = [&](std::string_view text) {
    const uint64_t size = text.size();
    XXH3_128bits_update(&state, &size, sizeof size);
    XXH3_128bits_update(&state, text.data(), text.size());
  };
  add(request.body);
  add(request.media_type);
  add(request.event_time ? FormatInstant(*request.event_time) : "");
  // Said or not, the default is the same.
  const std::string kind = request.state_kind.value_or("");
  add(kind == ingest::kDefaultStateKind ? "" : kind);
  add(request.next_state.value_or(""));
  add(request.if_state.value_or(""));
  const XXH128_hash_t hash = XXH3_128bits_digest(&state);
  Digest digest;
  static_assert(sizeof hash == sizeof digest);
  std::memcpy(digest.data(), &hash, sizeof digest);
  return digest;
}

// By what a batch is known to have come before.
constexpr std::string_view kByKey = "idempotency key";
constexpr std::string_view kByState = "state";

Refusal OtherContent(std::string_view what) {
  return {.error =
              MakeError(ErrorCode::kInvalidRecords,
                        "the {} was used before with other content: nothing is written; send the same bytes "
                        "to repeat a batch, and a new {} with a new one",
                        what, what)};
}

BatchPtr NewBatch(const PushRequest& request, const std::string& source, uint64_t activation, Instant now) {
  auto batch = std::make_shared<Batch>();
  batch->source = source;
  batch->activation = activation;
  if (request.next_state) {
    const std::string kind = request.state_kind.value_or(ingest::kDefaultStateKind);
    batch->state = State{kind, *request.next_state};
    if (*request.if_state != "*") batch->expected = State{kind, *request.if_state};
  }
  if (request.idempotency_key) batch->key = KeyDigest(*request.idempotency_key);
  batch->payload = PayloadDigest(request);
  batch->account = request.account;
  batch->received = now;
  batch->event_time = request.event_time;
  batch->format = request.format;
  batch->allow_empty = request.allow_empty;
  return batch;
}

}  // namespace

Digest KeyDigest(const std::string& key) {
  const auto hash = multiformats::Sha3Multihash(key);
  Digest digest;
  std::copy_n(hash.digest().begin(), digest.size(), digest.begin());
  return digest;
}

std::string KeyText(const Digest& digest) {
  return std::string(reinterpret_cast<const char*>(digest.data()), digest.size());
}

Refusal Busy(Error error, int seconds) {
  Refusal refusal{.error = std::move(error)};
  refusal.retry_after_seconds = seconds;
  return refusal;
}

Status Shared::health() const {
  std::lock_guard lock(mutex_);
  if (failure_) return *failure_;
  if (journal_) return journal_->health();
  return {};
}

Result<std::shared_ptr<Lane>> Lane::Open(Shared& shared, const workspace::Entry& entry) {
  std::shared_ptr<Lane> lane(new Lane(shared, entry));
  ASSIGN_OR_RETURN(lane->dataset_, shared.workspace->Open(entry));
  ASSIGN_OR_RETURN(lane->scratch_, shared.workspace->MakeScratch(entry.id));
  // Answers from the head are acknowledgements (push-protocol.md 5).
  RETURN_IF_ERROR(lane->dataset_->EnsureDurable());
  RETURN_IF_ERROR(lane->CheckJournal());
  // On a full disk a node starts all the same.
  auto marked = shared.journal()->MarkSeen(entry.id);
  if (!marked.ok() && marked.error().code() != ErrorCode::kResourceExhausted)
    return std::move(marked).error();
  MutexLock lock(lane->mutex_);
  lane->commits_of_.Follow(*lane->dataset_, {.joined_until = shared.journal()->ReplacedUntil(entry.id)});
  lane->tokens_ = shared.options.block_burst;
  lane->tokens_at_ = std::chrono::steady_clock::now();
  lane->PublishView();
  return lane;
}

std::shared_ptr<const odf::ChainState> Lane::view() const {
  MutexLock lock(mutex_);
  return view_;
}

void Lane::set_entry(workspace::Entry entry) {
  MutexLock lock(mutex_);
  entry_ = std::move(entry);
}

workspace::Entry Lane::entry() const {
  MutexLock lock(mutex_);
  return entry_;
}

Lane::Gate& Lane::GateOf(const std::string& source, const odf::ChainState& chain) {
  auto& gate = gates_[source];
  auto it = chain.push_sources.find(source);
  const uint64_t activation = it == chain.push_sources.end() ? 0 : it->second.activated_at;
  if (gate.activation != activation) {
    // Re-activated: it starts without a state; keys stay.
    gate.activation = activation;
    gate.accepted_by = nullptr;
    gate.stopped = nullptr;
  }
  return gate;
}

std::optional<State> Lane::Committed(const std::string& source, const odf::ChainState& chain) const {
  auto it = chain.push_sources.find(source);
  if (it == chain.push_sources.end() || !it->second.state) return std::nullopt;
  return State{it->second.state->kind, it->second.state->value};
}

std::optional<State> Lane::Accepted(const Gate& gate, const std::string& source,
                                    const odf::ChainState& chain) const {
  return gate.accepted_by ? gate.accepted_by->state : Committed(source, chain);
}

std::optional<State> Lane::DurableAccepted(const Gate& gate, const std::string& source,
                                           const odf::ChainState& chain) const {
  if (!gate.accepted_by) return Committed(source, chain);
  BatchPtr newest;
  const auto look = [&](const auto& batches) {
    for (const auto& batch : batches) {
      if (batch->source == source && batch->state && batch->is_durable &&
          batch->activation == gate.activation)
        newest = batch;
    }
  };
  look(committing_);
  look(waiting_);
  return newest ? newest->state : Committed(source, chain);
}

Refusal Lane::Stopped(const Gate& gate, const std::string& source) const {
  return Busy(MakeError(ErrorCode::kUnavailable,
                        "source '{}' stands still at batch {}: {}; 'sluice queue retry' or 'sluice queue "
                        "drop' lets it go on",
                        source, gate.stopped->receipt, gate.last_error),
              kRetryLaterSeconds);
}

Refusal Lane::Precondition(const Gate& gate, const Batch& batch, const odf::ChainState& chain) const {
  Refusal::States states;
  states.committed = Committed(batch.source, chain);
  states.accepted = DurableAccepted(gate, batch.source, chain);
  const auto chained = [&](const std::optional<State>& one) {
    return one ? std::optional(odf::SourceState{batch.source, one->kind, one->value}) : std::nullopt;
  };
  Refusal refusal{.error =
                      ingest::NotAtState(batch.source, chained(states.accepted), chained(batch.expected))};
  refusal.states = std::move(states);
  return refusal;
}

bool Lane::AnswerRepeat(const PushRequest& request, const BatchPtr& batch, const BatchPtr& first,
                        std::string_view known_by, Done& done, std::function<void()>* answer) {
  if (first->payload != batch->payload) {
    *answer = [done = std::move(done), refusal = OtherContent(known_by)] { done(refusal); };
    return true;
  }
  if ((request.respond_async || shared_.options.ack_durable) && first->place) {
    *answer = [this, self = shared_from_this(), first, done = std::move(done)] {
      shared_.acknowledger->Await(first->journal, *first->place, [first, done](const Status& status) {
        if (!status.ok()) return done(Busy(status.error(), kRetrySoonSeconds));
        Outcome outcome;
        outcome.status = Outcome::Status::kQueued;
        outcome.duplicate = true;
        outcome.source = first->source;
        outcome.state = first->state;
        outcome.receipt = first->receipt;
        done(std::move(outcome));
      });
    };
    return true;
  }
  // Whose source stands still would wait for an operator.
  if (const Gate& gate = gates_[first->source]; gate.stopped) {
    *answer = [done = std::move(done), refusal = Stopped(gate, first->source)] { done(refusal); };
    return true;
  }
  first->waiters.push_back({std::move(done), true});
  waiting_.Await(first, true);
  if (waiting_.Contains(first)) Schedule();
  *answer = [] {};
  return true;
}

bool Lane::AnswerFirst(const BatchPtr& batch, const FirstAnswer& first, std::string_view known_by, Done& done,
                       std::function<void()>* answer) {
  if (first.payload != batch->payload) {
    *answer = [done = std::move(done), refusal = OtherContent(known_by)] { done(refusal); };
    return true;
  }
  Outcome outcome = first.outcome;
  outcome.duplicate = true;
  outcome.source = batch->source;
  *answer = [done = std::move(done), outcome = std::move(outcome)] { done(outcome); };
  return true;
}

// The order of push-protocol.md 3.
bool Lane::AnswerWithoutTaking(const std::shared_ptr<PushRequest>& request, const BatchPtr& batch, Done& done,
                               std::function<void()>* answer) {
  const auto refuse = [&](Refusal refusal) {
    *answer = [done = std::move(done), refusal = std::move(refusal)] { done(refusal); };
    return true;
  };
  if (shared_.draining) {
    return refuse(
        Busy(MakeError(ErrorCode::kUnavailable, "the node is shutting down; try again"), kRetrySoonSeconds));
  }
  if (shared_.reopening) {
    return refuse(Busy(MakeError(ErrorCode::kUnavailable, "the node's log is being read again; try again"),
                       kRetrySoonSeconds));
  }
  if (gone_) return refuse({.error = NotFound("Dataset not found: {}", entry_.alias)});
  const auto chain = view_;
  Gate& gate = GateOf(batch->source, *chain);
  if (batch->key) {
    if (auto running = gate.running_keys.find(KeyText(*batch->key)); running != gate.running_keys.end())
      return AnswerRepeat(*request, batch, running->second, kByKey, done, answer);
    if (auto first = shared_.journal()->FindKey(entry_.id, batch->source, *batch->key))
      return AnswerFirst(batch, *first, kByKey, done, answer);
  }
  const auto accepted = Accepted(gate, batch->source, *chain);
  if (batch->state && accepted == batch->state) {
    if (gate.accepted_by) return AnswerRepeat(*request, batch, gate.accepted_by, kByState, done, answer);
    FirstAnswer first{batch->payload, {}};
    first.outcome.state = batch->state;
    if (auto known = shared_.journal()->FindState(entry_.id, batch->source, *batch->state))
      first = std::move(*known);
    // What the journal does not know, or not any more, the chain knows.
    const auto& told = chain->push_sources.at(batch->source);
    if (!first.outcome.block_hash) {
      first.outcome.block_hash = told.state_block;
      first.outcome.sequence = told.state_sequence;
    }
    return AnswerFirst(batch, first, kByState, done, answer);
  }
  if (gate.stopped) return refuse(Stopped(gate, batch->source));
  if (!batch->state) return false;
  const bool queued = request->respond_async || shared_.options.ack_durable;
  // What is queued must not build on what is not: a crash would lose that, and its source could never go on.
  if (accepted == batch->expected && !(queued && gate.accepted_by && !gate.accepted_by->place)) return false;
  if (gate.accepted_by && !gate.accepted_by->is_durable) {
    // Only durable states are told: judged again when that of the batch before is.
    gate.accepted_by->afterwards.push_back(
        [this, self = shared_from_this(), request, done = std::move(done)] { Push(request, done); });
    *answer = [] {};
    return true;
  }
  return refuse(Precondition(gate, *batch, *chain));
}

void Lane::Push(std::shared_ptr<PushRequest> request, Done done) {
  const auto chain = view();
  Refusal refusal{.error = Internal("refused")};
  auto source = ingest::SelectPushSource(*chain, request->source_name);
  if (!source.ok()) return done(Refusal{.error = source.error()});
  if (auto status = CheckRequest(*request, &refusal); !status.ok()) {
    refusal.error = std::move(status).error();
    return done(std::move(refusal));
  }
  auto batch = NewBatch(*request, source->name, chain->push_sources.at(source->name).activated_at,
                        shared_.clock->Now());
  std::function<void()> answer;
  {
    MutexLock lock(mutex_);
    if (!AnswerWithoutTaking(request, batch, done, &answer)) answer = nullptr;
  }
  if (answer) return answer();
  if (request->body.empty() && source->merge.kind == odf::MergeKind::kSnapshot && !request->allow_empty) {
    return done(
        Refusal{.error = MakeError(
                    ErrorCode::kInvalidRecords,
                    "an empty body would retract every row of Snapshot source '{}': add allowEmpty=true "
                    "when that is meant",
                    source->name)});
  }
  // The request keeps it: it may have to be pushed again.
  batch->body = std::shared_ptr<const std::string>(request, &request->body);
  batch->body_bytes = batch->body->size();
  Arrive({std::move(request), std::move(batch), std::move(done), nullptr}, *chain);
}

std::optional<Refusal> Lane::Try(const odf::AddPushSource& source, const PushRequest& request) {
  Refusal refusal{.error = Internal("refused")};
  if (auto status = CheckRequest(request, &refusal); !status.ok()) {
    refusal.error = std::move(status).error();
    return refusal;
  }
  auto batch = NewBatch(request, source.source_name, 0, shared_.clock->Now());
  const auto chain = view();
  if (batch->expected) {
    MutexLock lock(mutex_);
    return Precondition(Gate{}, *batch, *chain);
  }
  auto plan = ingest::FramePlan::Make(ingest::DefinitionOf(source), *chain, batch->format);
  if (!plan.ok()) return Refusal{.error = plan.error()};
  // The request outlives the batch.
  batch->body = std::shared_ptr<const std::string>(std::shared_ptr<void>(), &request.body);
  if (!MakeReady(*batch, std::move(*plan), &refusal).ok()) return refusal;
  return std::nullopt;
}

void Lane::Enter(const BatchPtr& batch) {
  batch->order = next_order_++;
  batch->taken_at = std::chrono::steady_clock::now();
  waiting_.Append(batch);
  shared_.memory->Take(batch->account, batch->charged_bytes);
  if (batch->place) shared_.queue->Take(batch->account, batch->body_bytes);
  // Those of the account that were here before have brought it along.
  if (++accounts_[batch->account] == 1 && due_) shared_.committers->Join(ticket_, batch->account);
  Gate& gate = gates_[batch->source];
  if (batch->state) gate.accepted_by = batch;
  if (batch->key) gate.running_keys[KeyText(*batch->key)] = batch;
}

void Lane::Leave(const BatchPtr& batch) {
  shared_.memory->Give(batch->account, batch->charged_bytes);
  batch->charged_bytes = 0;
  if (!batch->is_settled) {
    if (batch->place) shared_.queue->Give(batch->account, batch->body_bytes);
    if (auto it = accounts_.find(batch->account); it != accounts_.end() && --it->second == 0)
      accounts_.erase(it);
  }
  batch->is_settled = true;
  waiting_.Remove(batch);
  Gate& gate = gates_[batch->source];
  if (gate.stopped == batch) gate.stopped = nullptr;
  if (batch->key) {
    auto it = gate.running_keys.find(KeyText(*batch->key));
    if (it != gate.running_keys.end() && it->second == batch) gate.running_keys.erase(it);
  }
  if (gate.accepted_by == batch) {
    gate.accepted_by = nullptr;
    const auto look = [&](const auto& batches) {
      for (const auto& other : batches) {
        if (other->source == batch->source && other->state && other->activation == gate.activation)
          gate.accepted_by = other;
      }
    };
    look(committing_);
    look(waiting_);
  }
}

void Lane::AddQueued(const Place& place, const Journal::Queued& queued) {
  auto batch = std::make_shared<Batch>();
  const auto& header = queued.batch;
  batch->source = header.source;
  batch->activation = header.activation;
  batch->state = header.state;
  batch->expected = header.expected;
  batch->key = header.key;
  batch->payload = header.payload;
  batch->account = header.account;
  batch->received = header.received;
  batch->event_time = header.event_time;
  if (header.format != 0) batch->format = read::FormatOfCode(header.format);
  batch->allow_empty = header.allow_empty;
  batch->body_bytes = queued.body_bytes;
  batch->charged_bytes = kBatchOverhead;
  batch->place = place;
  batch->journal = shared_.journal();
  batch->is_durable = true;
  batch->nonce = header.nonce;
  batch->receipt = batch->journal->ReceiptOf(place, header.nonce);
  MutexLock lock(mutex_);
  GateOf(batch->source, *view_);
  Enter(batch);
  Schedule();
}

}  // namespace sluice::gateway

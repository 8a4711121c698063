// What became of queued batches, by their receipts.
#include <algorithm>
#include <charconv>

#include "gateway/journal_internal.h"

namespace sluice::gateway {
namespace {

struct ReceiptParts {
  std::string log_id, nonce;
  uint64_t sequence = 0;
};

// The log's id, of so many bytes, may hold hyphens.
std::optional<ReceiptParts> ParseReceipt(const std::string& receipt, size_t id_size) {
  const auto last = receipt.rfind('-');
  const auto middle =
      last == std::string::npos || last == 0 ? std::string::npos : receipt.rfind('-', last - 1);
  if (middle == std::string::npos) return std::nullopt;
  ReceiptParts parts{receipt.substr(0, middle), receipt.substr(last + 1)};
  const char* end = receipt.data() + last;
  const auto [stop, error] = std::from_chars(receipt.data() + middle + 1, end, parts.sequence);
  if (error != std::errc() || stop != end || parts.log_id.size() != id_size || parts.nonce.empty())
    return std::nullopt;
  return parts;
}

}  // namespace

std::optional<uint64_t> LogJournal::SequenceNow(const DatasetTables& tables, uint64_t record,
                                                uint64_t chain_sequence) const {
  for (const auto& change : tables.changes) {
    if (change.record < record) continue;
    if (!change.is_replacement) {
      if (chain_sequence > change.chain_sequence) return std::nullopt;
      continue;
    }
    const auto successor =
        std::lower_bound(change.successors.begin(), change.successors.end(), chain_sequence,
                         [](const auto& entry, uint64_t sequence) { return entry.first < sequence; });
    if (successor == change.successors.end()) return std::nullopt;
    chain_sequence = successor->second;
  }
  return chain_sequence;
}

uint64_t LogJournal::ReplacedUntil(const DatasetId& dataset) const {
  MutexLock lock(mutex_);
  const auto it = datasets_.find(dataset);
  if (it == datasets_.end()) return 0;
  uint64_t until = 0;
  for (const auto& change : it->second.changes) {
    if (change.is_replacement && !change.successors.empty()) until = change.successors.back().second;
  }
  return until;
}

SettledBatch LogJournal::AsOfNow(const OutcomeRecord& record, size_t index, uint64_t record_sequence) const {
  SettledBatch batch = record.batches[index];
  if (!batch.outcome.is_success() || !batch.outcome.sequence) return batch;
  MutexLock lock(mutex_);
  auto it = datasets_.find(record.dataset);
  if (it == datasets_.end()) return batch;
  const auto now = SequenceNow(it->second, record_sequence, *batch.outcome.sequence);
  const bool is_replaced = std::ranges::any_of(it->second.changes, [&](const ChainChange& change) {
    return change.is_replacement && change.record >= record_sequence;
  });
  if (!now) {
    batch.outcome.status = Outcome::Status::kWithdrawn;
  } else if (is_replaced) {
    // A compaction has put another block in the place of its own, perhaps with the same number.
    batch.outcome.sequence = now;
    batch.outcome.block_hash = batch.outcome.old_head = batch.outcome.new_head = std::nullopt;
  } else if (!SequenceNow(it->second, record_sequence, record.sequence)) {
    // A reset into the group that it came with.
    batch.outcome.new_head.reset();
  }
  return batch;
}

std::string LogJournal::ReceiptOf(const Place& place, const std::string& nonce) const {
  return fmt::format("{}-{}-{}", bodies_->id(), place.sequence, nonce);
}

Result<std::optional<LogJournal::SettledIn>> LogJournal::FindSettled(uint64_t queue_sequence) const {
  std::optional<EntryRef> recent;
  std::vector<Place> chunks;
  {
    MutexLock lock(mutex_);
    if (auto it = receipts_.find(queue_sequence); it != receipts_.end()) recent = it->second;
    for (const auto& chunk : chunks_) {
      if (chunk.first_queued <= queue_sequence && queue_sequence <= chunk.last_queued)
        chunks.push_back(chunk.begin);
    }
  }
  if (recent) {
    ASSIGN_OR_RETURN(auto stored, outcomes_->Read(At(*outcomes_, recent->place)));
    ASSIGN_OR_RETURN(auto record, DecodeOutcomes(stored.type, stored.payload));
    if (recent->index < record.batches.size())
      return std::optional(SettledIn(record.dataset, AsOfNow(record, recent->index, recent->place.sequence)));
  }
  std::optional<SettledIn> found;
  for (const auto& begin : chunks) {
    size_t seen = 0;
    const Status walked = outcomes_->Replay(At(*outcomes_, begin), [&](const log::Record& stored) -> Status {
      if (++seen > kRecordsInChunk) return MakeError(ErrorCode::kCancelled, "end of the chunk");
      ASSIGN_OR_RETURN(auto record, DecodeOutcomes(stored.type, stored.payload));
      for (size_t i = 0; i < record.batches.size(); ++i) {
        if (record.batches[i].queue_sequence == queue_sequence)
          found = SettledIn(record.dataset, AsOfNow(record, i, stored.position.sequence));
      }
      return {};
    });
    if (!walked.ok() && walked.error().code() != ErrorCode::kCancelled) return walked.error();
  }
  return found;
}

Result<std::optional<Journal::Queued>> LogJournal::FindWaiting(uint64_t queue_sequence) const {
  std::optional<Place> waiting;
  {
    MutexLock lock(mutex_);
    if (auto it = unsettled_.find(queue_sequence); it != unsettled_.end()) waiting = it->second;
  }
  if (!waiting) return std::optional<Queued>();
  ASSIGN_OR_RETURN(auto queued, Read(*waiting));
  return std::optional(std::move(queued));
}

std::optional<uint64_t> LogJournal::QueueSequenceOf(const std::string& receipt) const {
  const auto parts = ParseReceipt(receipt, bodies_->id().size());
  return parts && parts->log_id == bodies_->id() ? std::optional(parts->sequence) : std::nullopt;
}

Result<std::optional<Journal::ReceiptAnswer>> LogJournal::FindReceipt(const std::string& receipt) const {
  const auto parts = ParseReceipt(receipt, bodies_->id().size());
  if (!parts) return std::optional<ReceiptAnswer>();
  if (parts->log_id != bodies_->id()) return NotFound("receipt '{}' belongs to another log", receipt);
  uint64_t sequence = parts->sequence;
  bool is_first = true;
  std::optional<ReceiptAnswer> answer;
  while (true) {
    ASSIGN_OR_RETURN(const auto queued, FindWaiting(sequence));
    if (queued) {
      if (is_first && queued->batch.nonce != parts->nonce) return answer;
      answer = ReceiptAnswer{queued->batch.dataset, queued->batch.account, {}};
      answer->outcome.status = Outcome::Status::kQueued;
      answer->outcome.source = queued->batch.source;
      answer->outcome.state = queued->batch.state;
      break;
    }
    ASSIGN_OR_RETURN(const auto found, FindSettled(sequence));
    if (!found) {
      if (sequence >= bodies_->end().sequence) return answer;
      return NotFound("receipt '{}' has expired", receipt);
    }
    const auto& [dataset, settled] = *found;
    if (is_first && settled.nonce != parts->nonce) return answer;
    const auto& outcome = settled.outcome;
    // A dead letter that was taken again: what became of it there. That batch may be one that its client
    // sent, with a receipt of its own.
    if (outcome.status == Outcome::Status::kQueued && outcome.sequence.value_or(0) > sequence) {
      sequence = *outcome.sequence;
      is_first = false;
      continue;
    }
    answer = ReceiptAnswer{dataset, settled.account, outcome};
    answer->outcome.source = settled.source;
    break;
  }
  answer->outcome.receipt = receipt;
  return answer;
}

}  // namespace sluice::gateway

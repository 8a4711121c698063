// What became of queued batches, by their receipts.
#include <algorithm>
#include <charconv>

#include "gateway/journal_internal.h"

namespace sluice::gateway {

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

SettledBatch LogJournal::AsOfNow(const OutcomeRecord& record, size_t index, uint64_t record_sequence) const {
  SettledBatch batch = record.batches[index];
  if (!batch.outcome.is_success() || !batch.outcome.sequence) return batch;
  MutexLock lock(mutex_);
  auto it = datasets_.find(record.dataset);
  if (it == datasets_.end()) return batch;
  const auto now = SequenceNow(it->second, record_sequence, *batch.outcome.sequence);
  if (!now) {
    batch.outcome.status = Outcome::Status::kWithdrawn;
  } else if (now != batch.outcome.sequence) {
    // A compaction has put another block in the place of its own.
    batch.outcome.sequence = now;
    batch.outcome.block_hash.reset();
  }
  return batch;
}

std::string LogJournal::ReceiptOf(const Place& place, const std::string& nonce) const {
  return fmt::format("{}-{}-{}", bodies_->id(), place.sequence, nonce);
}

Result<std::optional<SettledBatch>> LogJournal::FindSettled(uint64_t queue_sequence) const {
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
      return std::optional(AsOfNow(record, recent->index, recent->place.sequence));
  }
  std::optional<SettledBatch> found;
  for (const auto& begin : chunks) {
    size_t seen = 0;
    const Status walked = outcomes_->Replay(At(*outcomes_, begin), [&](const log::Record& stored) -> Status {
      if (++seen > kRecordsInChunk) return MakeError(ErrorCode::kCancelled, "end of the chunk");
      ASSIGN_OR_RETURN(auto record, DecodeOutcomes(stored.type, stored.payload));
      for (size_t i = 0; i < record.batches.size(); ++i) {
        if (record.batches[i].queue_sequence == queue_sequence)
          found = AsOfNow(record, i, stored.position.sequence);
      }
      return {};
    });
    if (!walked.ok() && walked.error().code() != ErrorCode::kCancelled) return walked.error();
  }
  return found;
}

Result<std::optional<Journal::ReceiptAnswer>> LogJournal::FindReceipt(const std::string& receipt) const {
  // `<log id>-<sequence>-<nonce>`; the id may hold hyphens.
  const auto last = receipt.rfind('-');
  const auto middle =
      last == std::string::npos || last == 0 ? std::string::npos : receipt.rfind('-', last - 1);
  if (middle == std::string::npos) return std::optional<ReceiptAnswer>();
  const std::string id = receipt.substr(0, middle), nonce = receipt.substr(last + 1);
  uint64_t sequence = 0;
  const char* end = receipt.data() + last;
  const auto [stop, error] = std::from_chars(receipt.data() + middle + 1, end, sequence);
  if (error != std::errc() || stop != end || id.size() != bodies_->id().size() || nonce.empty())
    return std::optional<ReceiptAnswer>();
  if (id != bodies_->id()) return NotFound("receipt '{}' belongs to another log", receipt);
  std::optional<Place> waiting;
  {
    MutexLock lock(mutex_);
    if (auto it = unsettled_.find(sequence); it != unsettled_.end()) waiting = it->second;
  }
  if (waiting) {
    ASSIGN_OR_RETURN(auto queued, Read(*waiting));
    if (queued.batch.nonce != nonce) return std::optional<ReceiptAnswer>();
    ReceiptAnswer answer{queued.batch.account, {}};
    answer.outcome.status = Outcome::Status::kQueued;
    answer.outcome.source = queued.batch.source;
    answer.outcome.state = queued.batch.state;
    answer.outcome.receipt = receipt;
    return std::optional(std::move(answer));
  }
  ASSIGN_OR_RETURN(auto settled, FindSettled(sequence));
  if (!settled) {
    if (sequence >= bodies_->end().sequence) return std::optional<ReceiptAnswer>();
    return NotFound("receipt '{}' has expired", receipt);
  }
  if (settled->nonce != nonce) return std::optional<ReceiptAnswer>();
  ReceiptAnswer answer{settled->account, settled->outcome};
  answer.outcome.source = settled->source;
  answer.outcome.receipt = receipt;
  return std::optional(std::move(answer));
}

}  // namespace sluice::gateway

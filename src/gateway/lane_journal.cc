// How a lane brings journal and chain to agree: about a head that moved otherwise, and about a commit of its
// own whose outcome was not known.
#include <utility>

#include "gateway/lane_internal.h"

namespace sluice::gateway {

// Journal entries of blocks that are not in the chain do not count.
Status Lane::CheckJournal() {
  return shared_.journal()->CheckChain(
      entry().id, dataset_->head(), dataset_->state().sequence,
      [this](const multiformats::Multihash& hash) { return dataset_->IsAncestor(hash); });
}

Status Lane::RefreshLocked(const std::optional<std::string>& adds_to) {
  ASSIGN_OR_RETURN(const bool moved, dataset_->Refresh());
  is_behind_ = is_behind_ || moved;
  RETURN_IF_ERROR(dataset_->EnsureDurable());
  if (!is_behind_) return {};
  RETURN_IF_ERROR(CheckJournal());
  const auto seen = view();
  ASSIGN_OR_RETURN(const bool continues, dataset_->IsAncestor(*seen->head));
  LastCommits commits_of;
  {
    MutexLock lock(mutex_);
    commits_of = commits_of_;
  }
  commits_of.Follow(*dataset_, {.seen = continues ? std::optional(seen->sequence) : std::nullopt,
                                .adds_to = adds_to,
                                .joined_until = shared_.journal()->ReplacedUntil(entry().id)});
  MutexLock lock(mutex_);
  commits_of_ = std::move(commits_of);
  PublishView();
  is_behind_ = false;
  return {};
}

Status Lane::Refresh() {
  std::lock_guard lock(dataset_mutex_);
  RETURN_IF_ERROR(ResolveUnknown());
  return RefreshLocked();
}

Status Lane::Undo(const multiformats::DatasetId& dataset) {
  // The log holds it as a commit: the next one would make it seem to have come to be.
  OutcomeRecord undone;
  undone.kind = OutcomeRecord::Kind::kUndone;
  undone.dataset = dataset;
  undone.time = shared_.clock->Now();
  undone.new_head = dataset_->head();
  undone.sequence = dataset_->state().sequence;
  ASSIGN_OR_RETURN(const Place place, shared_.journal()->Append(undone));
  shared_.journal()->Confirm(undone, place);
  return {};
}

Status Lane::ResolveUnknown() {
  if (!unconfirmed_) return {};
  ASSIGN_OR_RETURN(const bool moved, dataset_->Refresh());
  is_behind_ = is_behind_ || moved;
  RETURN_IF_ERROR(dataset_->EnsureDurable());
  ASSIGN_OR_RETURN(const bool holds, dataset_->IsAncestor(*unconfirmed_->first.new_head));
  if (!holds) {
    RETURN_IF_ERROR(RefreshLocked());
    RETURN_IF_ERROR(Undo(unconfirmed_->first.dataset));
    unconfirmed_.reset();
    return {};
  }
  // Before the journal is compared with the chain, which has lost the blocks that a compaction replaced.
  const auto [record, place] = *std::exchange(unconfirmed_, std::nullopt);
  shared_.journal()->Confirm(record, place);
  std::vector<std::function<void()>> calls;
  {
    MutexLock lock(mutex_);
    if (record.kind == OutcomeRecord::Kind::kReplaced) commits_of_.Replace(record.successors, record.blocks);
    PublishView();
    std::map<uint64_t, const SettledBatch*> queued;
    for (const auto& entry : record.batches) {
      NoteCommit(entry.source, entry.outcome);
      if (entry.queue_sequence != 0) queued.emplace(entry.queue_sequence, &entry);
    }
    const auto waiting = waiting_;
    for (const auto& batch : waiting) {
      const auto entry = batch->place ? queued.find(batch->place->sequence) : queued.end();
      if (entry == queued.end()) continue;
      Outcome outcome = entry->second->outcome;
      outcome.source = batch->source;
      Leave(batch);
      Tell({batch, std::move(outcome), std::nullopt}, &calls);
    }
  }
  for (const auto& call : calls) call();
  return RefreshLocked();
}

Status Lane::CompareJournal() {
  std::lock_guard lock(dataset_mutex_);
  RETURN_IF_ERROR(RefreshLocked());
  RETURN_IF_ERROR(CheckJournal());
  RETURN_IF_ERROR(shared_.journal()->MarkSeen(entry().id));
  unconfirmed_.reset();
  return {};
}

}  // namespace sluice::gateway

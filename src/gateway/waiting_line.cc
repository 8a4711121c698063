#include <algorithm>
#include <iterator>

#include "gateway/lane_internal.h"

namespace sluice::gateway {
namespace {

bool IsEarlier(const BatchPtr& a, const BatchPtr& b) { return a->order < b->order; }

bool IsClients(const Batch& batch) { return !batch.place || batch.is_awaited; }

}  // namespace

void WaitingLine::Append(BatchPtr batch) {
  body_bytes_ += batch->body_bytes;
  if (IsClients(*batch)) ++clients_;
  batches_.push_back(std::move(batch));
}

void WaitingLine::Await(const BatchPtr& batch, bool is_awaited) {
  const bool is_here = Contains(batch);
  if (is_here && IsClients(*batch)) --clients_;
  batch->is_awaited = is_awaited;
  if (is_here && IsClients(*batch)) ++clients_;
}

void WaitingLine::PutBack(std::vector<BatchPtr> batches) {
  if (batches.empty()) return;
  Batches waiting = std::move(batches_);
  batches_.clear();
  body_bytes_ = 0;
  clients_ = 0;
  std::sort(batches.begin(), batches.end(), IsEarlier);
  Batches all;
  std::merge(batches.begin(), batches.end(), waiting.begin(), waiting.end(), std::back_inserter(all),
             IsEarlier);
  for (auto& batch : all) Append(std::move(batch));
}

bool WaitingLine::Contains(const BatchPtr& batch) const {
  const auto at = std::lower_bound(batches_.begin(), batches_.end(), batch, IsEarlier);
  return at != batches_.end() && *at == batch;
}

void WaitingLine::Remove(const BatchPtr& batch) {
  const auto at = std::lower_bound(batches_.begin(), batches_.end(), batch, IsEarlier);
  if (at != batches_.end() && *at == batch) Remove(at);
}

WaitingLine::Batches::const_iterator WaitingLine::Remove(Batches::const_iterator at) {
  body_bytes_ -= (*at)->body_bytes;
  if (IsClients(**at)) --clients_;
  return batches_.erase(at);
}

}  // namespace sluice::gateway

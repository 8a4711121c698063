#include "pipeline/work.h"

#include <arrow/record_batch.h>

#include <algorithm>

#include "pipeline/fates.h"
#include "pipeline/receipt_internal.h"
#include "pipeline/rows.h"

namespace sluice::pipeline {
namespace {

void Worsen(Outcome* so_far, const Outcome& outcome) {
  if (Badness(outcome.kind) > Badness(so_far->kind)) *so_far = outcome;
}

}  // namespace

Result<Work> Work::Make(std::vector<Item> items, bool keeps_places) {
  Work work;
  std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
  int64_t rows = 0;
  for (auto& item : items) {
    parts.push_back(item.batch.records);
    const int64_t count = item.batch.rows();
    work.is_persistent_ = work.is_persistent_ || item.receipt->is_persistent;
    work.pieces_.push_back({std::move(item.receipt), item.first_row, rows, count});
    rows += count;
    if (!keeps_places) continue;
    work.input_.partition = item.batch.partition;
    work.input_.next.insert(work.input_.next.end(), item.batch.next.begin(), item.batch.next.end());
    work.input_.places = std::move(item.batch.places);
  }
  ASSIGN_OR_RETURN(work.input_.records, JoinRecords(parts));
  work.is_resolved_.assign(static_cast<size_t>(rows), false);
  return work;
}

Result<Work> Work::Part(int64_t begin, int64_t end) const {
  Work part;
  part.is_persistent_ = is_persistent_;
  part.input_.records = input_.records->Slice(begin, end - begin);
  part.input_.partition = input_.partition;
  part.input_.places = input_.places;
  if (!input_.next.empty()) {
    part.input_.next.assign(input_.next.begin() + begin, input_.next.begin() + end);
    if (end < input_.rows()) {
      // Where the upstream stands is known behind the last part only, but for this partition.
      const auto place = input_.places.find(input_.partition);
      part.input_.places = {};
      if (place != input_.places.end()) part.input_.places.insert(*place);
      part.input_.places[input_.partition].next = part.input_.next.back();
    }
  }
  for (const auto& piece : pieces_) {
    const int64_t from = std::max(begin, piece.begin);
    const int64_t to = std::min(end, piece.begin + piece.rows);
    if (from >= to) continue;
    part.pieces_.push_back({piece.receipt, piece.first_row + from - piece.begin, from - begin, to - from});
  }
  part.is_resolved_.assign(is_resolved_.begin() + begin, is_resolved_.begin() + end);
  return part;
}

void Work::TakeAside(Batch* output) {
  watchers_ = std::move(output->watchers);
  for (auto& follower : output->followers) {
    if (follower.input_row >= 0 && follower.input_row < input_.rows())
      followers_[follower.input_row].push_back(std::move(follower));
  }
  output->watchers.clear();
  output->followers.clear();
}

int64_t Work::SetOutput(Batch output) {
  output_ = std::move(output);
  const auto rows = static_cast<size_t>(input_.rows());
  if (output_.origins.empty() && output_.rows() == input_.rows()) {
    open_.assign(rows, 1);
    worst_.assign(rows, Outcome{OutcomeKind::kDuplicate, {}});
    return 0;
  }
  open_.assign(rows, 0);
  worst_.assign(rows, Outcome{OutcomeKind::kDuplicate, {}});
  worst_of_all_ = Outcome{OutcomeKind::kDuplicate, {}};
  for (const int32_t origin : output_.origins) {
    if (origin < 0) {
      ++open_of_all_;
    } else if (static_cast<size_t>(origin) < rows) {
      ++open_[static_cast<size_t>(origin)];
    }
  }
  // A row that was dropped on purpose is done, unless what was made of all of them is not.
  is_made_of_all_ = open_of_all_ > 0;
  if (is_made_of_all_) return 0;
  int64_t dropped = 0;
  for (size_t row = 0; row < rows; ++row) {
    if (open_[row] != 0 || is_resolved_[row] || IsFollower(row)) continue;
    Resolve(static_cast<int64_t>(row), Outcome());
    ++dropped;
  }
  return dropped;
}

void Work::Resolve(int64_t input_row, Outcome outcome) {
  if (is_resolved_[static_cast<size_t>(input_row)]) return;
  is_resolved_[static_cast<size_t>(input_row)] = true;
  has_rejected_ = has_rejected_ || outcome.kind == OutcomeKind::kRejected;
  has_failed_ = has_failed_ || outcome.kind == OutcomeKind::kFailed;
  auto piece = std::upper_bound(pieces_.begin(), pieces_.end(), input_row,
                                [](int64_t row, const Piece& one) { return row < one.begin; });
  --piece;
  // Before the upstream hears of it, which may send it again at once.
  for (const auto& watcher : watchers_) watcher->Settled(input_row, outcome);
  piece->receipt->Set(piece->first_row + input_row - piece->begin, std::move(outcome));
}

void Work::SettleOutput(int64_t output_row, const Outcome& outcome) {
  const int64_t origin =
      output_.origins.empty() ? output_row : output_.origins[static_cast<size_t>(output_row)];
  if (origin < 0) {
    Worsen(&worst_of_all_, outcome);
    --open_of_all_;
  } else {
    Worsen(&worst_[static_cast<size_t>(origin)], outcome);
    --open_[static_cast<size_t>(origin)];
  }
  if (open_of_all_ > 0) return;
  if (!is_made_of_all_) {
    if (open_[static_cast<size_t>(origin)] == 0 && !IsFollower(static_cast<size_t>(origin)))
      Resolve(origin, worst_[static_cast<size_t>(origin)]);
    return;
  }
  for (size_t row = 0; row < open_.size(); ++row) {
    if (open_[row] != 0 || is_resolved_[row] || IsFollower(row)) continue;
    Outcome worst = worst_[row];
    Worsen(&worst, worst_of_all_);
    Resolve(static_cast<int64_t>(row), std::move(worst));
  }
}

void Work::ResolveRest(const Outcome& outcome) {
  for (size_t row = 0; row < is_resolved_.size(); ++row) {
    if (!IsFollower(row)) Resolve(static_cast<int64_t>(row), outcome);
  }
}

std::vector<Work::Followed> Work::TakeFollowed(bool waits, const std::stop_token& stop) {
  std::vector<Followed> settled;
  for (auto entry = followers_.begin(); entry != followers_.end();) {
    const auto row = static_cast<size_t>(entry->first);
    if (is_resolved_[row]) {  // refused on its own
      entry = followers_.erase(entry);
      continue;
    }
    const bool is_open = open_[row] > 0 || open_of_all_ > 0;
    if (is_open && !waits) {
      ++entry;
      continue;
    }
    // What was made of the row itself counts as well.
    Outcome own = worst_[row];
    if (is_made_of_all_) Worsen(&own, worst_of_all_);
    if (is_open) own = {OutcomeKind::kFailed, "the pipeline stops"};
    Outcome worst = own;
    bool is_known = true;
    for (const Follower& follower : entry->second) {
      if (!follower.fates) continue;
      auto fate = waits ? follower.fates->Wait(follower.other, stop) : follower.fates->Find(follower.other);
      is_known = is_known && (fate || waits);
      if (!fate) fate = Outcome{OutcomeKind::kFailed, "the pipeline stops"};
      if (fate->is_final() && fate->kind != OutcomeKind::kRejected) continue;
      Worsen(&worst, {fate->kind, "a record that says the same: " + fate->reason, fate->parts});
    }
    if (!is_known) {
      ++entry;
      continue;
    }
    settled.push_back({entry->first, std::move(worst), own.kind == OutcomeKind::kRejected});
    entry = followers_.erase(entry);
  }
  return settled;
}

}  // namespace sluice::pipeline

#include "merge/state_join.h"

#include "columnar/arrow_status.h"
#include "columnar/conform.h"
#include "merge/compare.h"

namespace sluice::merge {
namespace {

constexpr size_t kPairs = 32 << 10;

}  // namespace

Status StateJoin::Add(std::string_view key, const OldRow& old, std::optional<RowRef> fresh) {
  if (old.where == OldRow::Where::kNone && !fresh) {
    ++counts_->unchanged;  // a delete of what is not there
    return OkStatus();
  }
  if (old.where == OldRow::Where::kHistory) stored_.Append(old.bytes);
  keys_.Append(key);
  pairs_.push_back({old.where, old.ref, fresh});
  return pairs_.size() == kPairs ? Flush() : OkStatus();
}

Result<BatchPtr> StateJoin::OldRows() const {
  std::vector<BatchPtr> sources;
  std::vector<std::string_view> rows;
  for (size_t i = 0; i < stored_.size(); ++i) rows.push_back(stored_[i]);
  if (rows.empty()) {
    ASSIGN_OR_RETURN_ARROW(BatchPtr none, arrow::RecordBatch::MakeEmpty(schema_.data));
    sources.push_back(std::move(none));
  } else {
    if (!schema_.history_rows) return Internal("rows of a history that is empty");
    ASSIGN_OR_RETURN(BatchPtr decoded, schema_.history_rows->Decode(rows));
    ASSIGN_OR_RETURN(decoded, columnar::ConformBatch(decoded, schema_.data));
    sources.push_back(std::move(decoded));
  }
  sources.insert(sources.end(), overlay_.batches().begin(), overlay_.batches().end());
  std::vector<RowRef> refs;
  uint32_t next_stored = 0;
  for (const Pair& pair : pairs_) {
    if (pair.old == OldRow::Where::kHistory) refs.push_back({0, next_stored++});
    if (pair.old == OldRow::Where::kGroup) refs.push_back({pair.group_row.source + 1, pair.group_row.row});
  }
  return Gather(schema_.data, sources, refs);
}

Result<BatchPtr> StateJoin::FreshRows() const {
  std::vector<RowRef> refs;
  for (const Pair& pair : pairs_) {
    if (pair.fresh) refs.push_back(*pair.fresh);
  }
  return Gather(schema_.data, frame_, refs);
}

std::vector<bool> StateJoin::Distinct(const arrow::RecordBatch& olds, const arrow::RecordBatch& news) const {
  std::vector<RowPair> both;
  int64_t old_row = 0;
  int64_t new_row = 0;
  for (const Pair& pair : pairs_) {
    const bool old = pair.old != OldRow::Where::kNone;
    if (old && pair.fresh) both.push_back({old_row, new_row});
    old_row += old ? 1 : 0;
    new_row += pair.fresh ? 1 : 0;
  }
  std::vector<bool> distinct(both.size(), false);
  if (both.empty()) return distinct;
  for (const StateSchema::Compared& compared : schema_.compared) {
    MarkDistinct(*olds.column(compared.column), *news.column(compared.column), both, compared.only_new_values,
                 &distinct);
  }
  return distinct;
}

Status StateJoin::Flush() {
  if (pairs_.empty()) return OkStatus();
  ASSIGN_OR_RETURN(const BatchPtr olds, OldRows());
  ASSIGN_OR_RETURN(const BatchPtr news, FreshRows());
  const std::vector<bool> distinct = Distinct(*olds, *news);
  std::vector<RowRef> refs;
  std::vector<int32_t> ops;
  const auto emit = [&](odf::Op op, uint32_t source, uint32_t row) {
    ops.push_back(static_cast<int32_t>(op));
    refs.push_back({source, row});
  };
  const auto kept_batch = static_cast<uint32_t>(changes_->batches.size());
  uint32_t old_row = 0;
  uint32_t new_row = 0;
  size_t compared = 0;
  for (size_t i = 0; i < pairs_.size(); ++i) {
    const bool old = pairs_[i].old != OldRow::Where::kNone;
    const bool fresh = pairs_[i].fresh.has_value();
    if (!old) {
      emit(odf::Op::kAppend, 1, new_row);
      changes_->Set(keys_[i], {kept_batch, new_row});
      ++counts_->appended;
    } else if (!fresh) {
      emit(odf::Op::kRetract, 0, old_row);
      changes_->Remove(keys_[i]);
      ++counts_->retracted;
    } else if (distinct[compared++]) {
      emit(odf::Op::kCorrectFrom, 0, old_row);
      emit(odf::Op::kCorrectTo, 1, new_row);
      changes_->Set(keys_[i], {kept_batch, new_row});
      ++counts_->corrected;
    } else {
      ++counts_->unchanged;
    }
    old_row += old ? 1 : 0;
    new_row += fresh ? 1 : 0;
  }
  changes_->batches.push_back(news);
  if (!refs.empty()) {
    ASSIGN_OR_RETURN(const BatchPtr rows, Gather(schema_.data, {olds, news}, refs));
    ASSIGN_OR_RETURN(BatchPtr output, AddOps(schema_.output, rows, ops));
    output_.push_back(std::move(output));
  }
  pairs_.clear();
  keys_.Clear();
  stored_.Clear();
  return OkStatus();
}

}  // namespace sluice::merge

#include <arrow/compute/api.h>

#include <random>

#include "columnar/arrow_status.h"
#include "merge/merge_internal.h"
#include "merge/seen_keys.h"

namespace sluice::merge {
namespace {

// Rows stream through; what stays is the keys of the group.
class LedgerMerger final : public Merger {
 public:
  LedgerMerger(const MergeSpec& spec, KeyHistory* history, KeyReader keys)
      : input_(spec.input),
        output_(WithOp(spec.vocabulary.op, *spec.input)),
        order_{{spec.vocabulary.event_time}},
        history_(history),
        keys_(std::move(keys)),
        seen_(uint64_t{std::random_device()()} << 32 | std::random_device()(), spec.key_memory) {}

  SchemaPtr output_schema() const override { return output_; }
  const std::vector<columnar::SortKey>& order() const override { return order_; }

  Result<BatchPtr> Push(const BatchPtr& rows) override {
    RETURN_IF_ERROR(LookUp(*rows));
    std::vector<int32_t> kept;
    kept.reserve(entries_.size());
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (entries_[i].fresh) {
        kept.push_back(static_cast<int32_t>(i));
      } else if (seen_.batch_of(entries_[i].place) != batch_) {
        ++current_.unchanged;
      } else {
        ++current_.duplicates;
        if (current_.first_duplicates.size() < kMaxReportedDuplicates) {
          current_.first_duplicates.push_back(keys_.Describe(*rows, static_cast<int64_t>(i)));
        }
      }
    }
    current_.appended += static_cast<int64_t>(kept.size());
    return Keep(rows, kept);
  }

  // Of the rows with one key the first counts, whichever batches they are.
  Result<BatchPtr> PushSingles(const BatchPtr& rows, std::vector<bool>* added) override {
    RETURN_IF_ERROR(LookUp(*rows));
    added->assign(entries_.size(), false);
    std::vector<int32_t> kept;
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (!entries_[i].fresh) continue;
      (*added)[i] = true;
      kept.push_back(static_cast<int32_t>(i));
    }
    return Keep(rows, kept);
  }

  Result<std::vector<BatchPtr>> EndBatch() override {
    ++batch_;
    counts_ = std::exchange(current_, {});
    return std::vector<BatchPtr>();
  }
  void AbandonBatch() override {
    seen_.Abandon(batch_++);
    current_ = {};
  }
  const MergeCounts& counts() const override { return counts_; }

 private:
  // Which of the rows' keys are new, into entries_.
  Status LookUp(const arrow::RecordBatch& rows) {
    RETURN_IF_ERROR(CheckColumns(*input_, rows));
    const int64_t row_base = current_.received;
    current_.received += rows.num_rows();
    encoded_.Clear();
    RETURN_IF_ERROR(keys_.Read(rows, row_base, &encoded_));
    RETURN_IF_ERROR(seen_.Insert(encoded_, batch_, &entries_));
    return AskHistory();
  }

  // Of the keys that are new to the group, those that history has are not fresh after all.
  Status AskHistory() {
    if (history_->empty()) return OkStatus();
    std::vector<std::string_view> asked;
    std::vector<size_t> rows;
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (!entries_[i].fresh) continue;
      asked.push_back(encoded_[i]);
      rows.push_back(i);
    }
    if (asked.empty()) return OkStatus();
    ASSIGN_OR_RETURN(const std::vector<KeyState> states, history_->Find(asked));
    if (states.size() != asked.size())
      return Internal("history answered {} of {} keys", states.size(), asked.size());
    for (size_t i = 0; i < states.size(); ++i) {
      if (!states[i].seen) continue;
      entries_[rows[i]].fresh = false;
      seen_.MarkBefore(entries_[rows[i]].place);
    }
    return OkStatus();
  }

  Result<BatchPtr> Keep(const BatchPtr& rows, const std::vector<int32_t>& kept) {
    if (kept.empty()) return nullptr;
    if (static_cast<int64_t>(kept.size()) == rows->num_rows()) return AddOp(output_, rows, odf::Op::kAppend);
    arrow::Int32Builder indices;
    RETURN_IF_ARROW_ERROR(indices.AppendValues(kept));
    ASSIGN_OR_RETURN_ARROW(const auto positions, indices.Finish());
    ASSIGN_OR_RETURN_ARROW(const auto taken, arrow::compute::Take(rows, positions));
    return AddOp(output_, taken.record_batch(), odf::Op::kAppend);
  }

  SchemaPtr input_;
  SchemaPtr output_;
  std::vector<columnar::SortKey> order_;
  KeyHistory* history_;
  KeyReader keys_;
  SeenKeys seen_;
  uint32_t batch_ = 1;
  columnar::PackedBytes encoded_;
  std::vector<SeenKeys::Entry> entries_;
  MergeCounts current_;
  MergeCounts counts_;
};

}  // namespace

Result<std::unique_ptr<Merger>> MakeLedger(const MergeSpec& spec, KeyHistory* history) {
  ASSIGN_OR_RETURN(KeyReader keys, KeyReader::Make(*spec.input, KeyColumnsOf(spec.strategy)));
  return std::unique_ptr<Merger>(new LedgerMerger(spec, history, std::move(keys)));
}

}  // namespace sluice::merge

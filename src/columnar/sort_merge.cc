#include <arrow/record_batch.h>

#include <algorithm>
#include <optional>

#include "columnar/arrow_status.h"
#include "columnar/row_order_internal.h"
#include "columnar/sort_run_internal.h"

namespace sluice::columnar {
namespace {

// Where one source stands.
struct Cursor {
  std::unique_ptr<BatchSource> source;
  size_t place;  // among the sources: decides between equal rows
  BatchPtr batch;
  std::optional<RowKeys> keys;
  int64_t row = 0;
  int64_t piece = -1;  // of the batch being made; -1 = gave nothing to it yet
};

// A range of one source's batch that goes into the batch being made. A source is read forwards, so that what
// it gives is one range of each of its batches.
struct Piece {
  BatchPtr batch;
  int64_t begin;
  int64_t count;
};

class Merge final : public BatchSource {
 public:
  Merge(std::vector<SortKey> keys, int64_t batch_rows) : keys_(std::move(keys)), batch_rows_(batch_rows) {}

  Status Start(std::vector<std::unique_ptr<BatchSource>> sources) {
    for (size_t i = 0; i < sources.size(); ++i) {
      auto cursor = std::make_unique<Cursor>();
      cursor->source = std::move(sources[i]);
      cursor->place = i;
      RETURN_IF_ERROR(Load(cursor.get()));
      if (cursor->batch == nullptr) continue;
      heap_.push_back(cursor.get());
      cursors_.push_back(std::move(cursor));
    }
    std::make_heap(heap_.begin(), heap_.end(), Later);
    return {};
  }

  Result<BatchPtr> Next() override {
    while (!heap_.empty() && static_cast<int64_t>(order_.size()) < batch_rows_) {
      std::pop_heap(heap_.begin(), heap_.end(), Later);
      Cursor* first = heap_.back();
      heap_.pop_back();
      RETURN_IF_ERROR(Advance(first));
      if (first->batch == nullptr) continue;
      heap_.push_back(first);
      std::push_heap(heap_.begin(), heap_.end(), Later);
    }
    if (order_.empty()) return BatchPtr();
    return MakeBatch();
  }

 private:
  static int CompareCursors(const Cursor& a, const Cursor& b) {
    const int order = a.keys->Compare(a.row, *b.keys, b.row);
    return order != 0 ? order : a.place < b.place ? -1 : 1;
  }
  static bool Later(const Cursor* a, const Cursor* b) { return CompareCursors(*a, *b) > 0; }

  Status Load(Cursor* cursor) {
    do {
      ASSIGN_OR_RETURN(cursor->batch, cursor->source->Next());
    } while (cursor->batch != nullptr && cursor->batch->num_rows() == 0);
    cursor->row = 0;
    cursor->piece = -1;
    if (cursor->batch == nullptr) return {};
    ASSIGN_OR_RETURN(cursor->keys, RowKeys::Make(*cursor->batch, keys_));
    return {};
  }

  // Takes rows from `first`, the source with the smallest row, as long as it stays the smallest.
  Status Advance(Cursor* first) {
    if (first->piece < 0) {
      first->piece = static_cast<int64_t>(pieces_.size());
      pieces_.push_back({first->batch, first->row, 0});
    }
    Piece& piece = pieces_[static_cast<size_t>(first->piece)];
    const int64_t rows = first->batch->num_rows();
    do {
      order_.push_back({static_cast<uint32_t>(first->piece), static_cast<uint32_t>(piece.count++)});
      ++first->row;
    } while (first->row < rows && static_cast<int64_t>(order_.size()) < batch_rows_ &&
             (heap_.empty() || CompareCursors(*first, *heap_.front()) < 0));
    return first->row < rows ? Status() : Load(first);
  }

  Result<BatchPtr> MakeBatch() {
    std::vector<BatchPtr> parts;
    std::vector<uint32_t> starts;
    uint32_t rows = 0;
    for (const Piece& piece : pieces_) {
      parts.push_back(piece.batch->Slice(piece.begin, piece.count));
      starts.push_back(rows);
      rows += static_cast<uint32_t>(piece.count);
    }
    std::vector<uint32_t> indices(order_.size());
    for (size_t i = 0; i < order_.size(); ++i) indices[i] = starts[order_[i].piece] + order_[i].row;
    order_.clear();
    pieces_.clear();
    for (const auto& cursor : cursors_) cursor->piece = -1;
    if (parts.size() == 1) return parts.front();
    ASSIGN_OR_RETURN_ARROW(BatchPtr joined, arrow::ConcatenateRecordBatches(parts));
    return TakeRows(joined, indices.data(), indices.size());
  }

  struct Place {
    uint32_t piece;
    uint32_t row;
  };

  const std::vector<SortKey> keys_;
  const int64_t batch_rows_;
  std::vector<std::unique_ptr<Cursor>> cursors_;
  std::vector<Cursor*> heap_;  // smallest row in front
  std::vector<Piece> pieces_;
  std::vector<Place> order_;  // of the batch being made
};

}  // namespace

Result<std::unique_ptr<BatchSource>> MergeSources(std::vector<std::unique_ptr<BatchSource>> sources,
                                                  std::vector<SortKey> keys, int64_t batch_rows) {
  auto merge = std::make_unique<Merge>(std::move(keys), batch_rows);
  RETURN_IF_ERROR(merge->Start(std::move(sources)));
  return merge;
}

}  // namespace sluice::columnar

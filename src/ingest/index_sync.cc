#include "ingest/index_sync.h"

#include <arrow/type.h>

#include <algorithm>

#include "base/cancel.h"
#include "ingest/slice_indexer.h"
#include "odf/arrow_schema.h"

namespace sluice::ingest {
namespace {

class IndexHistory final : public merge::KeyHistory {
 public:
  IndexHistory(index::KeyIndex& index, index::KeySet set, std::shared_ptr<arrow::Schema> schema, bool empty)
      : index_(index), set_(std::move(set)), schema_(std::move(schema)), empty_(empty) {}

  bool empty() const override { return empty_; }
  std::shared_ptr<arrow::Schema> row_schema() const override { return schema_; }

  Result<std::vector<merge::KeyState>> Find(const std::vector<std::string_view>& keys) override {
    ASSIGN_OR_RETURN(auto found, index_.Find(set_, schema_, keys));
    std::vector<merge::KeyState> states;
    states.reserve(found.size());
    for (auto& entry : found) states.push_back({entry.seen, std::move(entry.row)});
    return states;
  }
  Status Scan(const std::function<Status(std::string_view, std::string_view)>& visit) override {
    return index_.Scan(set_, schema_, visit);
  }

 private:
  index::KeyIndex& index_;
  index::KeySet set_;
  std::shared_ptr<arrow::Schema> schema_;
  bool empty_;
};

class EmptyHistory final : public merge::KeyHistory {
 public:
  explicit EmptyHistory(std::shared_ptr<arrow::Schema> schema) : schema_(std::move(schema)) {}

  bool empty() const override { return true; }
  std::shared_ptr<arrow::Schema> row_schema() const override { return schema_; }
  Result<std::vector<merge::KeyState>> Find(const std::vector<std::string_view>& keys) override {
    return std::vector<merge::KeyState>(keys.size());
  }
  Status Scan(const std::function<Status(std::string_view, std::string_view)>&) override { return {}; }

 private:
  std::shared_ptr<arrow::Schema> schema_;
};

}  // namespace

std::vector<index::KeySet> NeededKeySets(const odf::ChainState& state) {
  std::vector<index::KeySet> sets;
  auto need = [&](const odf::MergeStrategy& strategy) {
    const auto need = merge::NeedOf(strategy.kind);
    if (need == merge::HistoryNeed::kNone) return;
    const bool rows = need == merge::HistoryNeed::kRows;
    for (auto& set : sets) {
      if (set.columns == strategy.primary_key) {
        set.rows = set.rows || rows;
        return;
      }
    }
    sets.push_back({state.dataset_id, strategy.primary_key, rows});
  };
  for (const auto& [name, source] : state.push_sources) need(source.event.merge);
  if (state.polling_source) need(state.polling_source->event.merge);
  return sets;
}

std::optional<index::KeySet> KeySetFor(const odf::ChainState& state, const odf::MergeStrategy& strategy) {
  if (merge::NeedOf(strategy.kind) == merge::HistoryNeed::kNone) return std::nullopt;
  for (auto& set : NeededKeySets(state)) {
    if (set.columns == strategy.primary_key) return set;
  }
  return std::nullopt;
}

Result<std::shared_ptr<arrow::Schema>> IndexRowSchema(const odf::ChainState& state) {
  if (!state.schema) return arrow::schema(arrow::FieldVector());
  ASSIGN_OR_RETURN(auto schema, odf::ToArrow(odf::StripEncodings(*state.schema)));
  arrow::FieldVector fields;
  for (const auto& field : schema->fields()) {
    if (field->name() != state.vocabulary.offset && field->name() != state.vocabulary.op &&
        field->name() != state.vocabulary.system_time) {
      fields.push_back(field->WithNullable(true));
    }
  }
  return arrow::schema(fields);
}

namespace {

// More rows than this go through sorted files.
constexpr uint64_t kRowsInOneBatch = 1 << 16;

uint64_t CountRows(const std::vector<dataset::Dataset::SliceRef>& slices) {
  uint64_t rows = 0;
  for (const auto& ref : slices) rows += ref.slice.offset_interval.end - ref.slice.offset_interval.start + 1;
  return rows;
}

// The rows of `slices`, all of them with the head in one write: a half-done step would leave rows under the
// head before them.
Status CatchUp(index::KeyIndex& index, const index::KeySet& set, const SliceIndexer& indexer,
               const dataset::Dataset& dataset, const std::vector<dataset::Dataset::SliceRef>& slices,
               const std::function<Status(const std::vector<index::IndexRow>&)>& on_rows) {
  const odf::Multihash& head = dataset.head();
  const uint64_t count = CountRows(slices);
  if (count == 0) return index.SetHead(set, head);
  if (count > kRowsInOneBatch) {
    ASSIGN_OR_RETURN(auto loader, index.StartApply(set, indexer.row_schema()));
    for (const auto& ref : slices) {
      RETURN_IF_ERROR(indexer.Read(dataset.files(), ref.slice, [&](const auto& rows, const auto&) -> Status {
        RETURN_IF_ERROR(on_rows(rows));
        return loader->Add(rows);
      }));
    }
    return loader->Finish(head);
  }
  std::vector<index::IndexRow> all;
  std::vector<std::shared_ptr<const SliceIndexer::Packed>> bytes;
  for (const auto& ref : slices) {
    RETURN_IF_ERROR(indexer.Read(dataset.files(), ref.slice, [&](const auto& rows, auto packed) -> Status {
      all.insert(all.end(), rows.begin(), rows.end());
      bytes.push_back(std::move(packed));
      return on_rows(rows);
    }));
  }
  return index.Apply(set, indexer.row_schema(), all, head);
}

}  // namespace

Status SyncIndex(index::KeyIndex& index, const index::KeySet& set, const dataset::Dataset& dataset,
                 Progress* progress, std::stop_token stop) {
  const auto& state = dataset.state();
  ASSIGN_OR_RETURN(auto tag, index.head(set));
  if (tag == state.head) return {};
  if (!state.schema) return {};  // nothing was ever written: there is nothing to index
  ASSIGN_OR_RETURN(auto indexer, SliceIndexer::Make(set, state));
  int64_t done = 0;
  int64_t total = static_cast<int64_t>(state.data_records);
  const auto on_rows = [&](const std::vector<index::IndexRow>& rows) -> Status {
    done += static_cast<int64_t>(rows.size());
    if (progress) progress->OnIndex(done, total);
    return CheckCancelled(stop);
  };
  if (tag) {
    ASSIGN_OR_RETURN(auto slices, dataset.SlicesAfter(tag));
    if (slices) {
      total = static_cast<int64_t>(CountRows(*slices));
      return CatchUp(index, set, indexer, dataset, *slices, on_rows);
    }
  }
  ASSIGN_OR_RETURN(auto slices, dataset.SlicesAfter(std::nullopt));
  ASSIGN_OR_RETURN(auto loader, index.StartLoad(set, indexer.row_schema(), *state.head));
  for (const auto& ref : *slices) {
    RETURN_IF_ERROR(indexer.Read(dataset.files(), ref.slice, [&](const auto& rows, const auto&) -> Status {
      RETURN_IF_ERROR(on_rows(rows));
      return loader->Add(rows);
    }));
  }
  return loader->Finish(*state.head);
}

void UpdateIndexes(index::GuardedIndex& session, const dataset::Dataset& dataset, Progress* progress) {
  for (const auto& set : NeededKeySets(dataset.state())) {
    auto index = session.Index();
    if (!index.ok()) return;
    (void)SyncIndex(**index, set, dataset, progress).ok();
  }
}

Result<std::unique_ptr<merge::KeyHistory>> MakeEmptyHistory(const odf::ChainState& state) {
  ASSIGN_OR_RETURN(auto schema, IndexRowSchema(state));
  return std::unique_ptr<merge::KeyHistory>(std::make_unique<EmptyHistory>(std::move(schema)));
}

Result<std::unique_ptr<merge::KeyHistory>> MakeHistory(index::KeyIndex& index, const index::KeySet& set,
                                                       const odf::ChainState& state) {
  ASSIGN_OR_RETURN(auto schema, IndexRowSchema(state));
  return std::unique_ptr<merge::KeyHistory>(
      std::make_unique<IndexHistory>(index, set, std::move(schema), !state.last_offset().has_value()));
}

}  // namespace sluice::ingest

#include "ingest/index_sync.h"

#include <arrow/array.h>
#include <arrow/array/util.h>
#include <arrow/compute/cast.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>

#include "base/cancel.h"
#include "columnar/arrow_status.h"
#include "columnar/plain_types.h"
#include "columnar/slice.h"
#include "odf/arrow_schema.h"

namespace sluice::ingest {
namespace {

// Reads the indexed columns of slices and hands them on as index rows.
class SliceIndexer {
 public:
  static Result<SliceIndexer> Make(const index::KeySet& set, const odf::ChainState& state) {
    columnar::EnsureArrowCompute();
    SliceIndexer indexer;
    indexer.set_ = &set;
    indexer.op_column_ = state.vocabulary.op;
    ASSIGN_OR_RETURN(indexer.row_schema_, IndexRowSchema(state));
    if (set.rows) {
      indexer.read_schema_ = indexer.row_schema_;
    } else {
      arrow::FieldVector fields;
      for (const auto& name : set.columns) {
        auto field = indexer.row_schema_->GetFieldByName(name);
        if (!field) return InvalidArgument("primary key column '{}' is not in the dataset", name);
        fields.push_back(field);
      }
      indexer.read_schema_ = arrow::schema(fields);
    }
    ASSIGN_OR_RETURN(auto encoder, columnar::KeyEncoder::Make(*indexer.read_schema_, set.columns));
    indexer.encoder_.emplace(std::move(encoder));
    ASSIGN_OR_RETURN(auto codec, columnar::RowCodec::Make(indexer.row_schema_));
    indexer.codec_.emplace(std::move(codec));
    return indexer;
  }

  const std::shared_ptr<arrow::Schema>& row_schema() const { return row_schema_; }

  // The rows' bytes live as long as `bytes`.
  struct Packed {
    columnar::PackedBytes keys, values;
  };
  using Visitor =
      std::function<Status(const std::vector<index::IndexRow>& rows, std::shared_ptr<const Packed> bytes)>;

  Status Read(const dataset::Dataset& dataset, const odf::DataSlice& slice, const Visitor& visit) const {
    const std::string name = dataset::DataName(slice.physical_hash);
    ASSIGN_OR_RETURN(auto metadata, columnar::ReadSliceMetadata(dataset.files(), name));
    // Columns added later are missing in older slices: they read as NULL.
    std::vector<std::string> columns = {op_column_};
    for (const auto& field : read_schema_->fields()) {
      if (metadata.schema->GetFieldIndex(field->name()) >= 0) columns.push_back(field->name());
    }
    ASSIGN_OR_RETURN(auto reader, columnar::SliceReader::Open(dataset.files(), name, columns));
    while (true) {
      ASSIGN_OR_RETURN(auto batch, reader->Next());
      if (!batch) return {};
      RETURN_IF_ERROR(Index(*batch, visit));
    }
  }

 private:
  Status Index(const arrow::RecordBatch& batch, const Visitor& visit) const {
    arrow::ArrayVector arrays;
    for (const auto& field : read_schema_->fields()) {
      auto array = batch.GetColumnByName(field->name());
      if (!array) {
        ASSIGN_OR_RETURN_ARROW(array, arrow::MakeArrayOfNull(field->type(), batch.num_rows()));
      } else if (!array->type()->Equals(*field->type())) {
        ASSIGN_OR_RETURN_ARROW(auto datum, arrow::compute::Cast(arrow::Datum(array), field->type()));
        array = datum.make_array();
      }
      arrays.push_back(std::move(array));
    }
    auto rows = arrow::RecordBatch::Make(read_schema_, batch.num_rows(), std::move(arrays));
    ASSIGN_OR_RETURN_ARROW(
        auto op_datum, arrow::compute::Cast(arrow::Datum(batch.GetColumnByName(op_column_)), arrow::int32()));
    const auto op_array = op_datum.make_array();
    const auto& ops = static_cast<const arrow::Int32Array&>(*op_array);

    auto packed = std::make_shared<Packed>();
    auto& [keys, values] = *packed;
    std::vector<bool> null_rows;
    RETURN_IF_ERROR(encoder_->Encode(*rows, &keys, &null_rows));
    if (set_->rows) RETURN_IF_ERROR(codec_->Encode(*rows, &values));
    std::vector<index::IndexRow> out;
    out.reserve(static_cast<size_t>(rows->num_rows()));
    for (int64_t i = 0; i < rows->num_rows(); ++i) {
      const auto at = static_cast<size_t>(i);
      if (!null_rows.empty() && null_rows[at]) continue;  // another program's: never matches
      const auto op = static_cast<odf::Op>(ops.Value(i));
      out.push_back({keys[at], set_->rows ? values[at] : std::string_view(), op == odf::Op::kRetract,
                     op == odf::Op::kCorrectFrom});
    }
    return visit(out, packed);
  }

  const index::KeySet* set_ = nullptr;
  std::string op_column_;
  std::shared_ptr<arrow::Schema> row_schema_, read_schema_;
  std::optional<columnar::KeyEncoder> encoder_;
  std::optional<columnar::RowCodec> codec_;
};

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
      RETURN_IF_ERROR(indexer.Read(dataset, ref.slice, [&](const auto& rows, const auto&) -> Status {
        RETURN_IF_ERROR(on_rows(rows));
        return loader->Add(rows);
      }));
    }
    return loader->Finish(head);
  }
  std::vector<index::IndexRow> all;
  std::vector<std::shared_ptr<const SliceIndexer::Packed>> bytes;
  for (const auto& ref : slices) {
    RETURN_IF_ERROR(indexer.Read(dataset, ref.slice, [&](const auto& rows, auto packed) -> Status {
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
    RETURN_IF_ERROR(indexer.Read(dataset, ref.slice, [&](const auto& rows, const auto&) -> Status {
      RETURN_IF_ERROR(on_rows(rows));
      return loader->Add(rows);
    }));
  }
  return loader->Finish(*state.head);
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

#include <fmt/ranges.h>

#include <algorithm>

#include "columnar/arrow_status.h"
#include "merge/merge_internal.h"
#include "merge/overlay.h"
#include "merge/state_join.h"

// Snapshot and UpsertStream: the batch in key order meets the rows that are live, key by key. Upsert asks
// history for the batch's keys; Snapshot goes through all of it, because what is missing from the batch is
// gone.
namespace sluice::merge {
namespace {

constexpr size_t kAskedKeys = 4096;

class StateMerger final : public Merger {
 public:
  StateMerger(const MergeSpec& spec, KeyHistory* history, StateSchema schema, KeyReader keys)
      : input_(spec.input),
        op_(spec.vocabulary.op),
        event_time_(spec.vocabulary.event_time),
        snapshot_(spec.strategy.kind == odf::MergeKind::kSnapshot),
        has_ops_(!snapshot_ && spec.input->GetFieldIndex(op_) >= 0),
        refuse_duplicates_(snapshot_ && spec.refuse_duplicates),
        history_(history),
        schema_(std::move(schema)),
        keys_(std::move(keys)) {}

  SchemaPtr output_schema() const override { return schema_.output; }
  const std::vector<columnar::SortKey>& order() const override { return order_; }
  void BeginBatch(Instant fallback_event_time) override { fallback_event_time_ = fallback_event_time; }

  Result<BatchPtr> Push(const BatchPtr& rows) override {
    RETURN_IF_ERROR(CheckColumns(*input_, *rows));
    const int64_t row_base = current_.received;
    current_.received += rows->num_rows();
    RETURN_IF_ERROR(keys_.Read(*rows, row_base, &encoded_));
    if (has_ops_) {
      ASSIGN_OR_RETURN(const std::vector<uint8_t> ops, RequireOps(*rows, op_, row_base));
      ops_.insert(ops_.end(), ops.begin(), ops.end());
    }
    for (int64_t row = 0; row < rows->num_rows(); ++row) {
      refs_.push_back({static_cast<uint32_t>(frame_.size()), static_cast<uint32_t>(row)});
    }
    std::vector<std::shared_ptr<arrow::Array>> columns;
    for (const auto& field : schema_.data->fields()) columns.push_back(rows->GetColumnByName(field->name()));
    frame_.push_back(arrow::RecordBatch::Make(schema_.data, rows->num_rows(), std::move(columns)));
    return nullptr;
  }

  Result<std::vector<BatchPtr>> EndBatch() override {
    RETURN_IF_ERROR(overlay_.Fold(std::move(last_changes_), event_time_));
    last_changes_ = nullptr;
    const std::vector<uint32_t> rows = LastRowOfEachKey();
    if (refuse_duplicates_ && current_.duplicates > 0) {
      return MakeError(ErrorCode::kInvalidRecords,
                       "{} rows have a primary key that another row of the input has: '{}'",
                       current_.duplicates, fmt::join(current_.first_duplicates, "', '"));
    }
    StateJoin join(schema_, overlay_, frame_, &current_);
    RETURN_IF_ERROR(snapshot_ ? JoinWithAll(rows, &join) : JoinWithAsked(rows, &join));
    RETURN_IF_ERROR(join.Finish());
    last_changes_ = join.TakeChanges();
    last_changes_->fallback_event_time = fallback_event_time_;
    counts_ = current_;
    AbandonBatch();
    return join.TakeOutput();
  }

  void AbandonBatch() override {
    current_ = {};
    fallback_event_time_.reset();
    encoded_.Clear();
    ops_.clear();
    refs_.clear();
    frame_.clear();
  }
  const MergeCounts& counts() const override { return counts_; }

 private:
  // Rows of the batch, one per key, in key order.
  std::vector<uint32_t> LastRowOfEachKey() {
    const std::vector<uint32_t> order = columnar::SortedOrder(encoded_);
    std::vector<uint32_t> rows;
    rows.reserve(order.size());
    for (size_t i = 0; i < order.size(); ++i) {
      const bool again = i > 0 && encoded_[order[i]] == encoded_[order[i - 1]];
      if (!again) {
        rows.push_back(order[i]);
        continue;
      }
      ++current_.duplicates;
      const bool first_time =
          rows.back() == order[i - 1] && (i < 2 || encoded_[order[i - 2]] != encoded_[order[i]]);
      if (first_time && current_.first_duplicates.size() < kMaxReportedDuplicates) {
        const RowRef ref = refs_[order[i]];
        current_.first_duplicates.push_back(keys_.Describe(*frame_[ref.source], ref.row));
      }
      rows.back() = order[i];
    }
    return rows;
  }

  std::optional<RowRef> FreshRow(uint32_t row) const {
    if (has_ops_ && ops_[row] == static_cast<uint8_t>(odf::Op::kRetract)) return std::nullopt;
    return refs_[row];
  }

  static OldRow FromGroup(const Overlay::Entry& entry) {
    return entry.live ? OldRow{OldRow::Where::kGroup, {}, entry.ref} : OldRow{};
  }

  Status JoinWithAsked(const std::vector<uint32_t>& rows, StateJoin* join) {
    const std::vector<Overlay::Entry>& group = overlay_.entries();
    size_t next_group = 0;
    for (size_t start = 0; start < rows.size(); start += kAskedKeys) {
      const size_t end = std::min(rows.size(), start + kAskedKeys);
      std::vector<OldRow> olds(end - start);
      std::vector<std::string_view> asked;
      std::vector<size_t> asked_rows;
      for (size_t i = start; i < end; ++i) {
        const std::string_view key = encoded_[rows[i]];
        while (next_group < group.size() && group[next_group].key < key) ++next_group;
        if (next_group < group.size() && group[next_group].key == key) {
          olds[i - start] = FromGroup(group[next_group]);
        } else if (!history_->empty()) {
          asked.push_back(key);
          asked_rows.push_back(i - start);
        }
      }
      std::vector<KeyState> states;
      if (!asked.empty()) {
        ASSIGN_OR_RETURN(states, history_->Find(asked));
        if (states.size() != asked.size())
          return Internal("history answered {} of {} keys", states.size(), asked.size());
      }
      for (size_t i = 0; i < states.size(); ++i) {
        if (states[i].latest_row) olds[asked_rows[i]] = {OldRow::Where::kHistory, *states[i].latest_row, {}};
      }
      for (size_t i = start; i < end; ++i) {
        RETURN_IF_ERROR(join->Add(encoded_[rows[i]], olds[i - start], FreshRow(rows[i])));
      }
    }
    return OkStatus();
  }

  Status JoinWithAll(const std::vector<uint32_t>& rows, StateJoin* join) {
    const std::vector<Overlay::Entry>& group = overlay_.entries();
    size_t next_group = 0;
    size_t next_row = 0;
    const auto old_row = [&](std::string_view key, const OldRow& old) -> Status {
      for (; next_row < rows.size() && encoded_[rows[next_row]] < key; ++next_row) {
        RETURN_IF_ERROR(join->Add(encoded_[rows[next_row]], {}, FreshRow(rows[next_row])));
      }
      const bool stays = next_row < rows.size() && encoded_[rows[next_row]] == key;
      return join->Add(key, old, stays ? FreshRow(rows[next_row++]) : std::nullopt);
    };
    const auto group_row = [&]() -> Status {
      const Overlay::Entry& entry = group[next_group++];
      return entry.live ? old_row(entry.key, FromGroup(entry)) : OkStatus();
    };
    if (!history_->empty()) {
      RETURN_IF_ERROR(history_->Scan([&](std::string_view key, std::string_view row) -> Status {
        while (next_group < group.size() && group[next_group].key < key) RETURN_IF_ERROR(group_row());
        if (next_group < group.size() && group[next_group].key == key) return group_row();
        return old_row(key, {OldRow::Where::kHistory, row, {}});
      }));
    }
    while (next_group < group.size()) RETURN_IF_ERROR(group_row());
    for (; next_row < rows.size(); ++next_row) {
      RETURN_IF_ERROR(join->Add(encoded_[rows[next_row]], {}, FreshRow(rows[next_row])));
    }
    return OkStatus();
  }

  SchemaPtr input_;
  std::string op_;
  std::string event_time_;
  bool snapshot_;
  bool has_ops_;
  bool refuse_duplicates_;
  KeyHistory* history_;
  StateSchema schema_;
  KeyReader keys_;
  std::vector<columnar::SortKey> order_;

  // The current batch.
  std::optional<Instant> fallback_event_time_;
  columnar::PackedBytes encoded_;
  std::vector<uint8_t> ops_;
  std::vector<RowRef> refs_;
  std::vector<BatchPtr> frame_;
  MergeCounts current_;

  // The group. What the last batch did is only worked in when another one comes.
  std::unique_ptr<StateChanges> last_changes_;
  Overlay overlay_;
  MergeCounts counts_;
};

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Old rows may lack what the input requires.
SchemaPtr OutputData(const arrow::Schema& data, const KeyHistory& history) {
  if (history.empty()) return arrow::schema(data.fields(), data.metadata());
  arrow::FieldVector fields;
  for (const auto& field : data.fields()) {
    const auto old = history.row_schema()->GetFieldByName(field->name());
    fields.push_back(old == nullptr || old->nullable() ? field->WithNullable(true) : field);
  }
  return arrow::schema(std::move(fields), data.metadata());
}

Result<StateSchema> MakeStateSchema(const MergeSpec& spec, const KeyHistory& history) {
  const std::string& event_time = spec.vocabulary.event_time;
  StateSchema schema;
  schema.data = WithoutColumn(*spec.input, spec.vocabulary.op);
  schema.output = WithOp(spec.vocabulary.op, *OutputData(*schema.data, history));
  for (int i = 0; i < schema.data->num_fields(); ++i) {
    const std::string& name = schema.data->field(i)->name();
    if (Contains(spec.strategy.primary_key, name)) continue;
    if (spec.strategy.compare_columns && !Contains(*spec.strategy.compare_columns, name)) continue;
    schema.compared.push_back({i, name == event_time});
  }
  if (!history.empty()) {
    ASSIGN_OR_RETURN(schema.history_rows, columnar::RowCodec::Make(history.row_schema()));
  }
  return schema;
}

}  // namespace

Result<std::unique_ptr<Merger>> MakeState(const MergeSpec& spec, KeyHistory* history) {
  if (spec.strategy.kind == odf::MergeKind::kUpsertStream &&
      spec.input->GetFieldIndex(spec.vocabulary.op) >= 0) {
    RETURN_IF_ERROR(CheckOpColumn(*spec.input, spec.vocabulary.op));
  }
  ASSIGN_OR_RETURN(StateSchema schema, MakeStateSchema(spec, *history));
  ASSIGN_OR_RETURN(KeyReader keys, KeyReader::Make(*spec.input, KeyColumnsOf(spec.strategy)));
  return std::unique_ptr<Merger>(new StateMerger(spec, history, std::move(schema), std::move(keys)));
}

}  // namespace sluice::merge

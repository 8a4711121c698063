#include "merge/overlay.h"

#include <arrow/util/checked_cast.h>

#include <algorithm>

#include "columnar/arrow_status.h"

namespace sluice::merge {
namespace {

using arrow::internal::checked_cast;

constexpr int64_t kMillisPerDay = 86'400'000;

int64_t FloorDays(int64_t millis) { return millis / kMillisPerDay - (millis % kMillisPerDay < 0 ? 1 : 0); }

int64_t InUnit(Instant instant, arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      return instant.seconds;
    case arrow::TimeUnit::MILLI:
      return instant.ToMillis();
    case arrow::TimeUnit::MICRO:
      return instant.seconds * 1'000'000 + instant.nanoseconds / 1'000;
    case arrow::TimeUnit::NANO:
      break;
  }
  return instant.seconds * 1'000'000'000 + instant.nanoseconds;
}

template <class Type>
Result<std::shared_ptr<arrow::Array>> Fill(const arrow::Array& values, typename Type::c_type fallback) {
  const auto& typed = checked_cast<const typename arrow::TypeTraits<Type>::ArrayType&>(values);
  typename arrow::TypeTraits<Type>::BuilderType builder(values.type(), arrow::default_memory_pool());
  RETURN_IF_ARROW_ERROR(builder.Reserve(values.length()));
  for (int64_t i = 0; i < values.length(); ++i)
    builder.UnsafeAppend(typed.IsNull(i) ? fallback : typed.Value(i));
  std::shared_ptr<arrow::Array> filled;
  RETURN_IF_ARROW_ERROR(builder.Finish(&filled));
  return filled;
}

Result<std::shared_ptr<arrow::Array>> FillArray(const std::shared_ptr<arrow::Array>& values, Instant value) {
  switch (values->type_id()) {
    case arrow::Type::TIMESTAMP: {
      const auto unit = checked_cast<const arrow::TimestampType&>(*values->type()).unit();
      return Fill<arrow::TimestampType>(*values, InUnit(value, unit));
    }
    case arrow::Type::DATE32:
      return Fill<arrow::Date32Type>(*values, static_cast<int32_t>(FloorDays(value.ToMillis())));
    case arrow::Type::DATE64:
      return Fill<arrow::Date64Type>(*values, FloorDays(value.ToMillis()) * kMillisPerDay);
    default:
      return values;
  }
}

}  // namespace

Result<BatchPtr> FillEventTime(const BatchPtr& rows, const std::string& column, Instant value) {
  const int index = rows->schema()->GetFieldIndex(column);
  if (index < 0 || rows->column(index)->null_count() == 0) return rows;
  ASSIGN_OR_RETURN(auto filled, FillArray(rows->column(index), value));
  std::vector<std::shared_ptr<arrow::Array>> columns = rows->columns();
  columns[static_cast<size_t>(index)] = std::move(filled);
  return arrow::RecordBatch::Make(rows->schema(), rows->num_rows(), std::move(columns));
}

Status Overlay::Fold(std::unique_ptr<StateChanges> changes, const std::string& event_time) {
  if (changes == nullptr || changes->rows.empty()) return OkStatus();
  const auto first_batch = static_cast<uint32_t>(batches_.size());
  for (BatchPtr& batch : changes->batches) {
    if (batch != nullptr && changes->fallback_event_time) {
      ASSIGN_OR_RETURN(batch, FillEventTime(batch, event_time, *changes->fallback_event_time));
    }
    batches_.push_back(std::move(batch));
  }
  std::vector<Entry> merged;
  merged.reserve(entries_.size() + changes->rows.size());
  size_t old = 0;
  for (size_t i = 0; i < changes->rows.size(); ++i) {
    const std::string_view key = changes->keys[i];
    while (old < entries_.size() && entries_[old].key < key) merged.push_back(entries_[old++]);
    if (old < entries_.size() && entries_[old].key == key) ++old;
    const StateChanges::Row& row = changes->rows[i];
    merged.push_back({key, {first_batch + row.ref.source, row.ref.row}, row.live});
  }
  merged.insert(merged.end(), entries_.begin() + static_cast<ptrdiff_t>(old), entries_.end());
  entries_ = std::move(merged);
  folded_.push_back(std::move(changes));
  return OkStatus();
}

}  // namespace sluice::merge

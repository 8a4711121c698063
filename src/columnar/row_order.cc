#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/compute/api.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>
#include <arrow/util/decimal.h>
#include <arrow/util/float16.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "columnar/arrow_status.h"
#include "columnar/plain_types.h"
#include "columnar/row_order_internal.h"

namespace sluice::columnar {
namespace {

constexpr uint64_t kHighBit = uint64_t{1} << 63;
constexpr int64_t kBlockRows = 4096;

template <class T>
T Load(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

template <class T>
int Order(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

int OrderFloats(double a, double b) {
  if (a < b) return -1;
  if (b < a) return 1;
  return static_cast<int>(std::isnan(a)) - static_cast<int>(std::isnan(b));
}

uint64_t FloatPrefix(double value) {
  if (std::isnan(value)) return ~uint64_t{0};
  const auto bits = std::bit_cast<uint64_t>(value == 0 ? 0.0 : value);
  return (bits & kHighBit) != 0 ? ~bits : bits | kHighBit;
}

uint64_t BytesPrefix(std::string_view bytes) {
  uint64_t prefix = 0;
  for (size_t i = 0; i < 8; ++i)
    prefix = prefix << 8 | (i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0);
  return prefix;
}

// Blocks without a branch inside, so that the compiler compares several neighbours at once.
template <class T>
bool AscendingValues(const uint8_t* bytes, int64_t count) {
  const T* values = reinterpret_cast<const T*>(bytes);
  for (int64_t begin = 1; begin < count; begin += kBlockRows) {
    const int64_t end = std::min(begin + kBlockRows, count);
    bool ascending = true;
    for (int64_t i = begin; i < end; ++i) ascending &= values[i - 1] <= values[i];
    if (!ascending) return false;
  }
  return true;
}

}  // namespace

Result<KeyColumn> KeyColumn::Make(const std::string& name, const arrow::Array& array) {
  const arrow::Type::type id = array.type_id();
  Kind kind;
  if (arrow::is_signed_integer(id) || id == arrow::Type::DATE32 || id == arrow::Type::DATE64 ||
      id == arrow::Type::TIME32 || id == arrow::Type::TIME64 || id == arrow::Type::TIMESTAMP ||
      id == arrow::Type::DURATION || id == arrow::Type::DECIMAL32 || id == arrow::Type::DECIMAL64) {
    kind = Kind::kSigned;
  } else if (arrow::is_unsigned_integer(id)) {
    kind = Kind::kUnsigned;
  } else if (arrow::is_floating(id)) {
    kind = Kind::kFloat;
  } else if (id == arrow::Type::BOOL) {
    kind = Kind::kBool;
  } else if (arrow::is_binary_like(id)) {
    kind = Kind::kText;
  } else if (arrow::is_large_binary_like(id)) {
    kind = Kind::kLargeText;
  } else if (id == arrow::Type::FIXED_SIZE_BINARY) {
    kind = Kind::kFixed;
  } else if (id == arrow::Type::DECIMAL128) {
    kind = Kind::kDecimal128;
  } else if (id == arrow::Type::DECIMAL256) {
    kind = Kind::kDecimal256;
  } else if (id == arrow::Type::NA) {
    kind = Kind::kAllNull;
  } else {
    return Unsupported("column '{}': rows cannot be ordered by type {}", name, array.type()->ToString());
  }
  KeyColumn column(kind, array);
  column.has_nulls_ = array.null_count() > 0;
  if (arrow::is_fixed_width(id) && kind != Kind::kBool) {
    column.width_ = array.type()->byte_width();
    const auto* bytes = array.data()->GetValues<uint8_t>(1, 0);
    column.values_ = bytes == nullptr ? nullptr : bytes + array.offset() * column.width_;
  }
  return column;
}

bool KeyColumn::IsNull(int64_t row) const {
  return kind_ == Kind::kAllNull || (has_nulls_ && array_->IsNull(row));
}

int64_t KeyColumn::Signed(int64_t row) const {
  const uint8_t* at = values_ + row * width_;
  switch (width_) {
    case 1:
      return Load<int8_t>(at);
    case 2:
      return Load<int16_t>(at);
    case 4:
      return Load<int32_t>(at);
    default:
      return Load<int64_t>(at);
  }
}

uint64_t KeyColumn::Unsigned(int64_t row) const {
  const uint8_t* at = values_ + row * width_;
  switch (width_) {
    case 1:
      return Load<uint8_t>(at);
    case 2:
      return Load<uint16_t>(at);
    case 4:
      return Load<uint32_t>(at);
    default:
      return Load<uint64_t>(at);
  }
}

double KeyColumn::Float(int64_t row) const {
  const uint8_t* at = values_ + row * width_;
  switch (width_) {
    case 2:
      return arrow::util::Float16::FromBits(Load<uint16_t>(at)).ToDouble();
    case 4:
      return Load<float>(at);
    default:
      return Load<double>(at);
  }
}

std::string_view KeyColumn::Bytes(int64_t row) const {
  if (kind_ == Kind::kText) return static_cast<const arrow::BinaryArray*>(array_)->GetView(row);
  if (kind_ == Kind::kLargeText) return static_cast<const arrow::LargeBinaryArray*>(array_)->GetView(row);
  return {reinterpret_cast<const char*>(values_ + row * width_), static_cast<size_t>(width_)};
}

int KeyColumn::Compare(int64_t row, const KeyColumn& other, int64_t other_row) const {
  const bool null = IsNull(row);
  const bool other_null = other.IsNull(other_row);
  if (null || other_null) return static_cast<int>(other_null) - static_cast<int>(null);
  return CompareValues(row, other, other_row);
}

int KeyColumn::CompareValues(int64_t row, const KeyColumn& other, int64_t other_row) const {
  switch (kind_) {
    case Kind::kSigned:
      return Order(Signed(row), other.Signed(other_row));
    case Kind::kUnsigned:
      return Order(Unsigned(row), other.Unsigned(other_row));
    case Kind::kFloat:
      return OrderFloats(Float(row), other.Float(other_row));
    case Kind::kBool:
      return Order(static_cast<const arrow::BooleanArray*>(array_)->Value(row),
                   static_cast<const arrow::BooleanArray*>(other.array_)->Value(other_row));
    case Kind::kText:
    case Kind::kLargeText:
    case Kind::kFixed:
      return Order(Bytes(row), other.Bytes(other_row));
    case Kind::kDecimal128:
      return Order(arrow::Decimal128(values_ + row * width_),
                   arrow::Decimal128(other.values_ + other_row * width_));
    case Kind::kDecimal256:
      return Order(arrow::Decimal256(values_ + row * width_),
                   arrow::Decimal256(other.values_ + other_row * width_));
    case Kind::kAllNull:
      break;
  }
  return 0;
}

uint64_t KeyColumn::Prefix(int64_t row) const {
  if (IsNull(row)) return 0;
  uint64_t prefix = 0;
  switch (kind_) {
    case Kind::kSigned:
      prefix = static_cast<uint64_t>(Signed(row)) ^ kHighBit;
      break;
    case Kind::kUnsigned:
      prefix = Unsigned(row);
      break;
    case Kind::kFloat:
      prefix = FloatPrefix(Float(row));
      break;
    case Kind::kBool:
      prefix = static_cast<const arrow::BooleanArray*>(array_)->Value(row) ? kHighBit : 0;
      break;
    case Kind::kText:
    case Kind::kLargeText:
    case Kind::kFixed:
      prefix = BytesPrefix(Bytes(row));
      break;
    case Kind::kDecimal128:
    case Kind::kDecimal256:  // the highest word, signed
      prefix = Load<uint64_t>(values_ + row * width_ + width_ - 8) ^ kHighBit;
      break;
    case Kind::kAllNull:
      break;
  }
  return kHighBit | prefix >> 1;  // after every null
}

bool KeyColumn::IsAscending() const {
  const int64_t count = array_->length();
  if (kind_ == Kind::kAllNull || count == 0) return true;
  if (!has_nulls_ && kind_ == Kind::kSigned && width_ == 8) return AscendingValues<int64_t>(values_, count);
  if (!has_nulls_ && kind_ == Kind::kSigned && width_ == 4) return AscendingValues<int32_t>(values_, count);
  if (!has_nulls_ && kind_ == Kind::kUnsigned && width_ == 8)
    return AscendingValues<uint64_t>(values_, count);
  if (!has_nulls_ && kind_ == Kind::kUnsigned && width_ == 4)
    return AscendingValues<uint32_t>(values_, count);
  for (int64_t row = 1; row < count; ++row) {
    if (Compare(row - 1, *this, row) > 0) return false;
  }
  return true;
}

Result<RowKeys> RowKeys::Make(const arrow::RecordBatch& batch, const std::vector<SortKey>& keys) {
  RowKeys result;
  result.rows_ = batch.num_rows();
  for (const SortKey& key : keys) {
    const int index = batch.schema()->GetFieldIndex(key.column);
    if (index < 0) return InvalidArgument("no column '{}' to sort by", key.column);
    // The batch keeps the array alive once it was asked for.
    ASSIGN_OR_RETURN(KeyColumn column, KeyColumn::Make(key.column, *batch.column(index)));
    result.columns_.push_back(column);
  }
  return result;
}

bool RowKeys::IsAscending() const {
  if (columns_.empty()) return true;
  if (columns_.size() == 1) return columns_.front().IsAscending();
  for (int64_t row = 1; row < rows_; ++row) {
    if (Compare(row - 1, *this, row) > 0) return false;
  }
  return true;
}

std::vector<uint32_t> RowKeys::SortedRows() const {
  struct Entry {
    uint64_t prefix;
    uint32_t row;
  };
  std::vector<Entry> entries(static_cast<size_t>(rows_));
  for (uint32_t row = 0; row < entries.size(); ++row) {
    entries[row] = {columns_.empty() ? 0 : columns_.front().Prefix(row), row};
  }
  std::sort(entries.begin(), entries.end(), [this](const Entry& a, const Entry& b) {
    if (a.prefix != b.prefix) return a.prefix < b.prefix;
    const int order = Compare(a.row, *this, b.row);
    return order != 0 ? order < 0 : a.row < b.row;
  });
  std::vector<uint32_t> rows(entries.size());
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = entries[i].row;
  return rows;
}

Result<std::shared_ptr<arrow::RecordBatch>> TakeRows(const std::shared_ptr<arrow::RecordBatch>& batch,
                                                     const uint32_t* rows, size_t count) {
  EnsureArrowCompute();
  auto buffer = arrow::Buffer::Wrap(rows, count);
  auto indices = std::make_shared<arrow::UInt32Array>(static_cast<int64_t>(count), std::move(buffer));
  ASSIGN_OR_RETURN_ARROW(
      arrow::Datum taken,
      arrow::compute::Take(arrow::Datum(batch), arrow::Datum(std::shared_ptr<arrow::Array>(indices)),
                           arrow::compute::TakeOptions::NoBoundsCheck()));
  return taken.record_batch();
}

Result<bool> IsSorted(const arrow::RecordBatch& batch, const std::vector<SortKey>& keys,
                      const arrow::RecordBatch* last) {
  if (batch.num_rows() == 0) return true;
  ASSIGN_OR_RETURN(const RowKeys rows, RowKeys::Make(batch, keys));
  if (last != nullptr && last->num_rows() > 0) {
    ASSIGN_OR_RETURN(const RowKeys before, RowKeys::Make(*last, keys));
    if (before.Compare(last->num_rows() - 1, rows, 0) > 0) return false;
  }
  return rows.IsAscending();
}

Result<std::shared_ptr<arrow::RecordBatch>> SortBatch(const std::shared_ptr<arrow::RecordBatch>& batch,
                                                      const std::vector<SortKey>& keys) {
  if (batch->num_rows() > int64_t{UINT32_MAX}) {
    return InvalidArgument("a batch of {} rows is too large to sort", batch->num_rows());
  }
  ASSIGN_OR_RETURN(const RowKeys rows, RowKeys::Make(*batch, keys));
  if (rows.IsAscending()) return batch;
  const std::vector<uint32_t> order = rows.SortedRows();
  return TakeRows(batch, order.data(), order.size());
}

}  // namespace sluice::columnar

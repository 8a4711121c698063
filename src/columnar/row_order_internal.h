#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "columnar/sorter.h"

namespace arrow {
class Array;
}  // namespace arrow

// The order of rows: nulls, then values ascending, NaN after all other numbers and equal to itself, -0 equal
// to 0.
namespace sluice::columnar {

// One key column of one batch, read by row. The batch must outlive it.
class KeyColumn {
 public:
  // Errors: kUnsupported naming column and type (lists, structs, ...).
  static Result<KeyColumn> Make(const std::string& name, const arrow::Array& array);

  // Negative, 0 or positive. Both columns are of the same type.
  int Compare(int64_t row, const KeyColumn& other, int64_t other_row) const;
  // A smaller prefix means a smaller value; equal prefixes say nothing.
  uint64_t Prefix(int64_t row) const;
  // True when no row is smaller than the one before it.
  bool IsAscending() const;
  bool IsNull(int64_t row) const;

 private:
  enum class Kind {
    kSigned,
    kUnsigned,
    kFloat,
    kBool,
    kText,
    kLargeText,
    kFixed,
    kDecimal128,
    kDecimal256,
    kAllNull
  };

  KeyColumn(Kind kind, const arrow::Array& array) : kind_(kind), array_(&array) {}

  int64_t Signed(int64_t row) const;
  uint64_t Unsigned(int64_t row) const;
  double Float(int64_t row) const;
  std::string_view Bytes(int64_t row) const;
  int CompareValues(int64_t row, const KeyColumn& other, int64_t other_row) const;

  Kind kind_;
  const arrow::Array* array_;
  const uint8_t* values_ = nullptr;  // of fixed width, at the array's offset
  int width_ = 0;                    // bytes
  bool has_nulls_ = false;
};

// The keys of one batch, in order of weight.
class RowKeys {
 public:
  // Errors: kInvalidArgument naming a column that is not there; kUnsupported as KeyColumn.
  static Result<RowKeys> Make(const arrow::RecordBatch& batch, const std::vector<SortKey>& keys);

  int Compare(int64_t row, const RowKeys& other, int64_t other_row) const {
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (const int order = columns_[i].Compare(row, other.columns_[i], other_row); order != 0) return order;
    }
    return 0;
  }
  bool IsAscending() const;
  // Row numbers in order, equal rows in their own.
  std::vector<uint32_t> SortedRows() const;

 private:
  std::vector<KeyColumn> columns_;
  int64_t rows_ = 0;
};

// `rows` of the batch, in that order.
Result<std::shared_ptr<arrow::RecordBatch>> TakeRows(const std::shared_ptr<arrow::RecordBatch>& batch,
                                                     const uint32_t* rows, size_t count);

}  // namespace sluice::columnar

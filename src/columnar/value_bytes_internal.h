#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace arrow {
class Buffer;
class DataType;
struct ArrayData;
}  // namespace arrow

// What the logical hash feeds into a column's stream (odf-metadata.md 8.2 and 8.3).
namespace sluice::columnar {

// The type's own bytes, with which a column's stream begins. Errors: kUnsupported for a type without a
// logical hash; the message starts with the type.
Result<std::string> TypeBytes(const arrow::DataType& type);

// Where a column's values are: Arrow's layout, resolved once a batch. Borrows the array's buffers.
struct ColumnView {
  enum class Kind {
    kFixed,
    kBool,
    kBinary,
    kLargeBinary,
    kBinaryView,
    kFixedBinary,
    kList,
    kLargeList,
    kFixedList
  };

  Kind kind = Kind::kFixed;
  int64_t width = 0;                  // bytes of a value; items of a fixed-size list
  int64_t offset = 0;                 // of row 0 in the buffers below
  const uint8_t* validity = nullptr;  // null when no row is null
  const uint8_t* values = nullptr;    // values, text or views
  const uint8_t* values_end = nullptr;
  const uint8_t* offsets = nullptr;  // of binary and list types
  std::vector<const uint8_t*> view_buffers;
  std::vector<const uint8_t*> view_buffer_ends;
  std::vector<ColumnView> item;  // one, of lists

  // True when the encoding is the value buffer itself.
  bool is_direct() const { return kind == Kind::kFixed && validity == nullptr; }
  const uint8_t* direct(int64_t row) const { return values + (offset + row) * width; }
};

// `data` of a type that TypeBytes takes; no struct.
ColumnView ViewOf(const arrow::ArrayData& data);

// Upper bound of what EncodeValues writes, its overrun included.
size_t EncodedBound(const ColumnView& view, int64_t begin, int64_t rows);

// Writes the value bytes of the rows and returns their end. May write a few bytes more, within the bound.
uint8_t* EncodeValues(const ColumnView& view, int64_t begin, int64_t rows, uint8_t* out);

}  // namespace sluice::columnar

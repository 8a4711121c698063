#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace arrow {
class Array;
class DataType;
}  // namespace arrow

// Cells as text, a column at a time: one look at the type per column, one tight loop over its rows.
namespace sluice::columnar {

enum class CellStyle {
  kText,  // the bare value; a null is empty
  kCsv,   // the same with RFC 4180 quotes where needed; an empty text is "" and so differs from a null
  kJson,  // a JSON value
};

// The texts of one column's rows, one after another.
struct CellColumn {
  std::string data;
  std::vector<size_t> ends;

  size_t size() const { return ends.size(); }
  std::string_view operator[](size_t row) const {
    const size_t begin = row == 0 ? 0 : ends[row - 1];
    return {data.data() + begin, ends[row] - begin};
  }
  void Clear() {
    data.clear();
    ends.clear();
  }
};

// Replaces what `out` holds. `array` has a plain type (plain_types.h).
// Errors: kUnsupported for a type that has no text (union, ...).
Status FormatCells(const arrow::Array& array, CellStyle style, CellColumn* out);

// OK when FormatCells knows the type, at every depth. Errors: kUnsupported naming column and type.
Status CheckPrintable(const std::string& column, const arrow::DataType& type);

// `text` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
void AppendJsonString(std::string_view text, std::string* out);

}  // namespace sluice::columnar

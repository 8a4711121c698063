#include "read/leaves.h"

#include <arrow/array.h>

#include <cmath>
#include <functional>

namespace sluice::read {
namespace {

using Visitor = std::function<void(const arrow::Array&)>;

// Visits the arrays without children that hold the values of these rows; those of nulls may be among them.
void VisitLeaves(const arrow::Array& array, const Visitor& visit) {
  switch (array.type_id()) {
    case arrow::Type::LIST:
    case arrow::Type::MAP: {
      const auto& list = static_cast<const arrow::ListArray&>(array);
      const int64_t first = list.value_offset(0);
      return VisitLeaves(*list.values()->Slice(first, list.value_offset(list.length()) - first), visit);
    }
    case arrow::Type::FIXED_SIZE_LIST: {
      const auto& list = static_cast<const arrow::FixedSizeListArray&>(array);
      const int64_t size = list.list_type()->list_size();
      return VisitLeaves(*list.values()->Slice(list.value_offset(0), list.length() * size), visit);
    }
    case arrow::Type::STRUCT: {
      for (const auto& child : static_cast<const arrow::StructArray&>(array).fields())
        VisitLeaves(*child, visit);
      return;
    }
    default:
      visit(array);
  }
}

template <class Array>
int64_t CountIn(const arrow::Array& array) {
  const auto& values = static_cast<const Array&>(array);
  int64_t count = 0;
  for (int64_t i = 0; i < values.length(); ++i) count += values.IsValid(i) && std::isinf(values.Value(i));
  return count;
}

}  // namespace

bool HasOnlyUtf8(const arrow::Array& array) {
  bool is_good = true;
  VisitLeaves(array, [&](const arrow::Array& leaf) {
    if (leaf.type_id() == arrow::Type::STRING)
      is_good = is_good && static_cast<const arrow::StringArray&>(leaf).ValidateUTF8().ok();
  });
  return is_good;
}

int64_t CountInfinite(const arrow::Array& array) {
  int64_t count = 0;
  VisitLeaves(array, [&](const arrow::Array& leaf) {
    if (leaf.type_id() == arrow::Type::FLOAT) count += CountIn<arrow::FloatArray>(leaf);
    if (leaf.type_id() == arrow::Type::DOUBLE) count += CountIn<arrow::DoubleArray>(leaf);
  });
  return count;
}

}  // namespace sluice::read

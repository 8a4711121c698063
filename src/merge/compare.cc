#include "merge/compare.h"

#include <arrow/api.h>
#include <arrow/util/checked_cast.h>

#include <cmath>
#include <cstring>

namespace sluice::merge {
namespace {

using arrow::internal::checked_cast;

// `equal(i, j)` over values that are not null.
template <class Equal>
void Mark(const arrow::Array& olds, const arrow::Array& news, const std::vector<RowPair>& pairs,
          bool only_new_values, std::vector<bool>* distinct, const Equal& equal) {
  for (size_t i = 0; i < pairs.size(); ++i) {
    const auto [old_row, new_row] = pairs[i];
    if (news.IsNull(new_row)) {
      if (!only_new_values && !olds.IsNull(old_row)) (*distinct)[i] = true;
    } else if (olds.IsNull(old_row) || !equal(old_row, new_row)) {
      (*distinct)[i] = true;
    }
  }
}

template <class ArrayType>
auto FloatEqual(const arrow::Array& olds, const arrow::Array& news) {
  return [a = checked_cast<const ArrayType&>(olds).raw_values(),
          b = checked_cast<const ArrayType&>(news).raw_values()](int64_t i, int64_t j) {
    return a[i] == b[j] || (std::isnan(a[i]) && std::isnan(b[j]));
  };
}

template <class ArrayType>
auto ViewEqual(const arrow::Array& olds, const arrow::Array& news) {
  return [a = &checked_cast<const ArrayType&>(olds), b = &checked_cast<const ArrayType&>(news)](
             int64_t i, int64_t j) { return a->GetView(i) == b->GetView(j); };
}

template <size_t kWidth>
auto BytesEqual(const arrow::Array& olds, const arrow::Array& news) {
  const auto values = [](const arrow::Array& array) {
    return array.data()->buffers[1]->data() + static_cast<size_t>(array.offset()) * kWidth;
  };
  return [a = values(olds), b = values(news)](int64_t i, int64_t j) {
    return std::memcmp(a + static_cast<size_t>(i) * kWidth, b + static_cast<size_t>(j) * kWidth, kWidth) == 0;
  };
}

}  // namespace

void MarkDistinct(const arrow::Array& olds, const arrow::Array& news, const std::vector<RowPair>& pairs,
                  bool only_new_values, std::vector<bool>* distinct) {
  const auto mark = [&](const auto& equal) { Mark(olds, news, pairs, only_new_values, distinct, equal); };
  switch (olds.type_id()) {
    case arrow::Type::FLOAT:
      return mark(FloatEqual<arrow::FloatArray>(olds, news));
    case arrow::Type::DOUBLE:
      return mark(FloatEqual<arrow::DoubleArray>(olds, news));
    case arrow::Type::INT8:
    case arrow::Type::UINT8:
      return mark(BytesEqual<1>(olds, news));
    case arrow::Type::INT16:
    case arrow::Type::UINT16:
      return mark(BytesEqual<2>(olds, news));
    case arrow::Type::INT32:
    case arrow::Type::UINT32:
    case arrow::Type::DATE32:
    case arrow::Type::TIME32:
      return mark(BytesEqual<4>(olds, news));
    case arrow::Type::INT64:
    case arrow::Type::UINT64:
    case arrow::Type::DATE64:
    case arrow::Type::TIME64:
    case arrow::Type::TIMESTAMP:
    case arrow::Type::DURATION:
      return mark(BytesEqual<8>(olds, news));
    case arrow::Type::DECIMAL128:
      return mark(BytesEqual<16>(olds, news));
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      return mark(ViewEqual<arrow::BinaryArray>(olds, news));
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
      return mark(ViewEqual<arrow::LargeBinaryArray>(olds, news));
    default: {
      const auto options = arrow::EqualOptions::Defaults().nans_equal(true).signed_zeros_equal(true);
      return mark([&](int64_t i, int64_t j) { return olds.RangeEquals(news, i, i + 1, j, options); });
    }
  }
}

}  // namespace sluice::merge

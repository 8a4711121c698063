#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"

namespace arrow {
class Array;
}  // namespace arrow

namespace sluice::merge {

struct RowPair {
  int64_t old_row;
  int64_t new_row;
};

// Sets distinct[i] where the values of pairs[i] differ, as IS DISTINCT FROM does: NULL equals NULL, NaN
// equals NaN, -0 equals 0. Both arrays have one type. `only_new_values`: a NULL on the new side differs from
// nothing.
void MarkDistinct(const arrow::Array& olds, const arrow::Array& news, const std::vector<RowPair>& pairs,
                  bool only_new_values, std::vector<bool>* distinct);

}  // namespace sluice::merge

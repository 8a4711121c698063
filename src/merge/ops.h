#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace sluice::merge {

// Errors: kInvalidArgument when there is no such column or it holds no integers.
Status CheckOpColumn(const arrow::Schema& schema, const std::string& column);

// A row whose operation is none.
struct BadOp {
  int64_t row = 0;    // in the batch, from 0
  std::string value;  // empty for a null
  std::string reason;
};

// Operation codes of the rows, each 0 to 3; those that are none are listed in `bad`, in order, and 0 in the
// result. `column` has passed CheckOpColumn.
Result<std::vector<uint8_t>> ReadOps(const arrow::RecordBatch& rows, const std::string& column,
                                     std::vector<BadOp>* bad);

}  // namespace sluice::merge

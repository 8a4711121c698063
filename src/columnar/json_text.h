#pragma once

#include <memory>

#include "base/result.h"

namespace arrow {
class Array;
}

namespace sluice::columnar {

// Each value as JSON text, nulls as nulls: what becomes of types without a logical hash (decisions.md 6).
// Errors: kUnsupported for a type that has no text.
Result<std::shared_ptr<arrow::Array>> ToJsonText(const arrow::Array& array);

}  // namespace sluice::columnar

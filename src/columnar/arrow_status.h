#pragma once

#include <arrow/result.h>
#include <arrow/status.h>

#include "base/result.h"

// The boundary between Arrow's errors and ours.
namespace sluice::columnar {

// kInvalid, TypeError -> kInvalidArgument; IOError -> kUnavailable (kResourceExhausted when the disk is
// full); OutOfMemory -> kResourceExhausted; Cancelled -> kCancelled; else kInternal.
Error FromArrowStatus(const arrow::Status& status);

inline Status ToStatus(const arrow::Status& status) {
  if (status.ok()) return {};
  return FromArrowStatus(status);
}

template <class T>
Result<T> ToResult(arrow::Result<T> result) {
  if (result.ok()) return std::move(result).ValueUnsafe();
  return FromArrowStatus(result.status());
}

}  // namespace sluice::columnar

#define RETURN_IF_ARROW_ERROR(expr)                                     \
  do {                                                                  \
    if (auto sluice_arrow_status = (expr); !sluice_arrow_status.ok()) { \
      return ::sluice::columnar::FromArrowStatus(sluice_arrow_status);  \
    }                                                                   \
  } while (false)

#define ASSIGN_OR_RETURN_ARROW(lhs, expr) ASSIGN_OR_RETURN(lhs, ::sluice::columnar::ToResult(expr))

#pragma once

#include <stop_token>

#include "base/result.h"

namespace sluice {

// kCancelled once a stop was requested; called between batches of long work.
inline Status CheckCancelled(const std::stop_token& stop) {
  if (stop.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
  return {};
}

}  // namespace sluice

#pragma once

#include "base/result.h"

namespace sluice::cli {

// A wrong combination of arguments, found after parsing: exit code 2.
template <class... Args>
Error UsageError(fmt::format_string<Args...> format, Args&&... args) {
  return InvalidArgument(format, std::forward<Args>(args)...).With("usage");
}

// Of commands that change sources, schema or history of a dataset.
inline constexpr char kDropQueueHelp[] =
    "Give up what is queued for the dataset, instead of committing it first";

}  // namespace sluice::cli

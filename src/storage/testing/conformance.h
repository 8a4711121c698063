#pragma once

#include <functional>
#include <memory>

#include "storage/storage.h"

namespace sluice::storage {

// Where a storage may differ from the strict answer.
struct Quirks {
  bool has_local_path = false;  // LocalPath and StagedFile::local_path name files of this machine
  // Two threads that swap the same name may both succeed: callers hold a lock around it.
  bool swap_needs_lock = false;
};

// Runs the whole suite, each part on an empty storage of its own. Failures are reported as GoogleTest's.
void CheckStorage(const std::function<std::unique_ptr<Storage>()>& make_empty, const Quirks& quirks = {});

}  // namespace sluice::storage

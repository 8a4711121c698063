#pragma once

#include <memory>
#include <string>

#include "storage/disk.h"
#include "storage/storage.h"

namespace sluice::storage {

// OpenLocalStorage over a given disk, which must outlive the storage. For tests that record or fail system
// calls.
Result<std::unique_ptr<Storage>> OpenLocalStorageOn(Disk& disk, const std::string& folder);

}  // namespace sluice::storage

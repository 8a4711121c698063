#pragma once

#include <cstdint>

#include "base/result.h"
#include "storage/disk.h"

namespace sluice::connectors {

// Where the file's whole records end, of its `end` bytes: before the beginning of a record that a crash cut
// short, else `end`. What begins no record of ours is nobody's to remove, so it counts as whole.
// Records are one to a line, or, when `is_pretty`, begin with a line that is only `{`.
Result<uint64_t> EndOfWholeRecords(const storage::File& file, uint64_t end, bool is_pretty);

}  // namespace sluice::connectors

#pragma once

#include <vector>

#include "pipeline/batch.h"

namespace sluice::pipeline {

// Where to begin, so that nobody who keeps positions misses anything; each skips what it has. One that stands
// in an earlier epoch of a partition, or knows nothing of it, has had no records of the newest but for the
// batch of a crash: the newest is read from its beginning.
Places LeastOf(const std::vector<Places>& all);

}  // namespace sluice::pipeline

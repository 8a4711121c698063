#pragma once

#include <string>

#include "dataset/dataset.h"

namespace sluice::cli {

// A block for people (odf-ingest.md 7, `log`): fields by name, absent ones left out.
std::string BlockText(const dataset::StoredBlock& block, bool color);

}  // namespace sluice::cli

#pragma once

#include <memory>
#include <string>

#include "pipeline/connector.h"

namespace sluice::pipeline {

// A finite ingestor that sends dead letters (NDJSON with a field `dead_letter`) through a pipeline again,
// that field taken off; a text that was no record is read anew. Reads up to where the file ended at the
// start, so that what is rejected again may be appended to the same file. Errors of Start: the file cannot be
// read.
std::unique_ptr<Ingestor> MakeReplayIngestor(std::string path);

}  // namespace sluice::pipeline

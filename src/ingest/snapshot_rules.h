#pragma once

#include "base/result.h"
#include "ingest/source_rules.h"
#include "odf/events.h"

namespace sluice::ingest {

// Judges the snapshot of a new dataset, whose transforms are normalized: which events may be in it, their own
// rules as CheckNewEvents, and the chain's rules over the chain that it would become. Errors: as
// CheckNewEvents.
Status CheckSnapshot(const odf::DatasetSnapshot& snapshot, const SourceRuleOptions& options = {});

}  // namespace sluice::ingest

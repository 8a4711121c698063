#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "odf/chain_state.h"
#include "odf/events.h"

namespace sluice::ingest {

struct SourceRuleOptions {
  bool shared_snapshot = false;  // a Snapshot source beside others is meant (push-protocol.md 2)
};

// Judges events before they are committed to `state` (empty for a new dataset), in order, as a whole:
// structure, read options, query and dialect, key and compare columns against the schema that the source will
// have, and that this schema is the dataset's, or that of the other sources. Transforms must be normalized.
// Errors: kInvalidArgument, kUnsupported, kConflict (schemas differ, showing both).
Status CheckNewEvents(odf::ChainState state, const std::vector<odf::MetadataEvent>& events,
                      const SourceRuleOptions& options = {});

// The system columns that a schema in these events lacks: until it has them no data can be added. Empty
// without a schema.
std::vector<std::string> MissingSystemColumns(const odf::Vocabulary& vocabulary,
                                              const std::vector<odf::MetadataEvent>& events);

// Normalizes every transform in the events (odf-metadata.md 5.5 step 3).
Status NormalizeEvents(std::vector<odf::MetadataEvent>* events);

}  // namespace sluice::ingest

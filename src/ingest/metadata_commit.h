#pragma once

#include <stop_token>
#include <vector>

#include "base/result.h"
#include "dataset/dataset.h"
#include "index/guarded_index.h"
#include "ingest/progress.h"
#include "ingest/source_rules.h"
#include "odf/events.h"

namespace sluice::ingest {

// Events that a person may append to an existing dataset, normalized: no Seed, no data events. Errors:
// kInvalidArgument, also for an empty list.
Status CheckGivenEvents(std::vector<odf::MetadataEvent>* events);

struct MetadataCommit {
  std::vector<odf::MetadataEvent> events;  // passed by CheckGivenEvents
  SourceRuleOptions rules;
  Instant now;
  Progress* progress = nullptr;  // of building indexes; may be null
  std::stop_token stop;
};
struct MetadataCommitResult {
  dataset::CommitResult commit;
  // A key set that is new with a source is built at once (decisions.md 10). Not OK: the events are in the
  // chain all the same, and the next ingest builds it.
  Status index;
};

// Judges events against the dataset's head and appends them with one head move (decisions.md 18). `guard`
// holds the dataset's locks. Errors: those of CheckNewEvents and of the chain's rules; as Dataset::Commit.
Result<MetadataCommitResult> CommitMetadata(index::GuardedIndex& guard, dataset::Dataset& dataset,
                                            MetadataCommit request);

}  // namespace sluice::ingest

#include "ingest/metadata_commit.h"

#include "ingest/index_sync.h"

namespace sluice::ingest {
namespace {

Status BuildIndexes(index::GuardedIndex& guard, const dataset::Dataset& dataset, Progress* progress,
                    const std::stop_token& stop) {
  for (const auto& set : NeededKeySets(dataset.state())) {
    ASSIGN_OR_RETURN(auto* index, guard.Index());
    RETURN_IF_ERROR(SyncIndex(*index, set, dataset, progress, stop));
  }
  return {};
}

}  // namespace

Status CheckGivenEvents(std::vector<odf::MetadataEvent>* events) {
  for (const auto& event : *events) {
    if (std::holds_alternative<odf::Seed>(event) || std::holds_alternative<odf::AddData>(event) ||
        std::holds_alternative<odf::ExecuteTransform>(event)) {
      return InvalidArgument("event {} cannot be given by hand", odf::KindNameOf(event));
    }
  }
  if (events->empty()) return InvalidArgument("there is no event to commit");
  return NormalizeEvents(events);
}

Result<MetadataCommitResult> CommitMetadata(index::GuardedIndex& guard, dataset::Dataset& dataset,
                                            MetadataCommit request) {
  RETURN_IF_ERROR(CheckNewEvents(dataset.state(), request.events, request.rules));
  dataset::CommitRequest commit;
  commit.events = std::move(request.events);
  commit.system_time = request.now;
  MetadataCommitResult result;
  ASSIGN_OR_RETURN(result.commit, dataset.Commit(std::move(commit)));
  result.index = BuildIndexes(guard, dataset, request.progress, request.stop);
  return result;
}

}  // namespace sluice::ingest

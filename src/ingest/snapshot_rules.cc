#include "ingest/snapshot_rules.h"

#include "odf/codec.h"

namespace sluice::ingest {

Status CheckSnapshot(const odf::DatasetSnapshot& snapshot, const SourceRuleOptions& options) {
  for (const auto& event : snapshot.metadata) {
    if (std::holds_alternative<odf::Seed>(event) || std::holds_alternative<odf::AddData>(event) ||
        std::holds_alternative<odf::ExecuteTransform>(event) ||
        std::holds_alternative<odf::DisablePushSource>(event) ||
        std::holds_alternative<odf::DisablePollingSource>(event)) {
      return InvalidArgument("event {} is not allowed in a DatasetSnapshot", odf::KindNameOf(event));
    }
    const bool source = std::holds_alternative<odf::AddPushSource>(event) ||
                        std::holds_alternative<odf::SetPollingSource>(event);
    if (source && snapshot.kind != odf::DatasetKind::kRoot) {
      return InvalidArgument("event {} belongs to a Root dataset, this one is Derivative",
                             odf::KindNameOf(event));
    }
    if (std::holds_alternative<odf::SetTransform>(event) && snapshot.kind != odf::DatasetKind::kDerivative) {
      return InvalidArgument("event SetTransform belongs to a Derivative dataset, this one is Root");
    }
  }
  RETURN_IF_ERROR(CheckNewEvents(odf::ChainState(), snapshot.metadata, options));
  // The chain's own rules, over the chain that this would become.
  odf::ChainState chain;
  auto apply = [&](odf::MetadataEvent event) -> Status {
    odf::MetadataBlock block{Instant{}, chain.head, chain.head ? chain.sequence + 1 : 0, std::move(event)};
    ASSIGN_OR_RETURN(const auto bytes, odf::EncodeBlock(block));
    return chain.Apply(block, odf::HashBlock(bytes));
  };
  RETURN_IF_ERROR(apply(odf::Seed{odf::DatasetId::FromSeed("check"), snapshot.kind}));
  for (const auto& event : snapshot.metadata) RETURN_IF_ERROR(apply(event));
  return {};
}

}  // namespace sluice::ingest

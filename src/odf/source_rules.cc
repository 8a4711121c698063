// Rules of push and polling sources: what one may look like, which may be active together, how they end.
#include <vector>

#include "base/names.h"
#include "odf/chain_rules_internal.h"

namespace sluice::odf {
namespace {

std::string QuotedNames(const std::map<std::string, ChainState::PushSource>& sources) {
  std::vector<std::string> names;
  for (const auto& [name, source] : sources) names.push_back(fmt::format("'{}'", name));
  return JoinNames(names);
}

Status CheckReadAndPreprocess(const ReadStep& read, const std::optional<TransformSql>& preprocess,
                              Judging judging) {
  if (preprocess && judging == Judging::kAppend) RETURN_IF_ERROR(CheckNormalized(*preprocess, "preprocess"));
  if (read.schema && read.ddl_schema) {
    return BrokenRule(rule::kInvalid, "the read step has both schema and ddlSchema, give only one of them");
  }
  return OkStatus();
}

Status CheckSourceName(const std::string& name) {
  constexpr std::string_view kBlank = " \t\r\n\v\f";
  if (name.find_first_not_of(kBlank) == std::string::npos) {
    return BrokenRule(rule::kInvalid, "a push source needs a name, not '{}'", name);
  }
  if (kBlank.find(name.front()) != std::string_view::npos ||
      kBlank.find(name.back()) != std::string_view::npos) {
    return BrokenRule(rule::kInvalid, "the source name '{}' begins or ends with white space", name);
  }
  if (name == kPollingSourceName) {
    return BrokenRule(rule::kInvalid,
                      "'{}' names the state of the polling source and cannot be a push source", name);
  }
  return OkStatus();
}

}  // namespace

Status CheckPushSourceAlone(const AddPushSource& event, Judging judging) {
  if (judging == Judging::kAppend) RETURN_IF_ERROR(CheckSourceName(event.source_name));
  return CheckReadAndPreprocess(event.read, event.preprocess, judging);
}

Status CheckPollingSourceAlone(const SetPollingSource& event, Judging judging) {
  RETURN_IF_ERROR(CheckReadAndPreprocess(event.read, event.preprocess, judging));
  const auto* logs = std::get_if<FetchEthereumLogs>(&event.fetch);
  if (logs && !logs->chain_id && !logs->node_url) {
    return BrokenRule(rule::kInvalid, "fetch step EthereumLogs needs chainId or nodeUrl");
  }
  return OkStatus();
}

Status CheckAddPushSource(const ChainState& state, const AddPushSource& event) {
  const auto active = state.push_sources.find(event.source_name);
  if (active != state.push_sources.end() && WithDefaults(active->second.event) == WithDefaults(event)) {
    return BrokenRule(rule::kNoOp, "push source '{}' is active with the same content", event.source_name);
  }
  if (state.polling_source) {
    return BrokenRule(rule::kInvalid,
                      "push source '{}' cannot be added: the polling source is still active, "
                      "disable it first",
                      event.source_name);
  }
  return OkStatus();
}

Status CheckSetPollingSource(const ChainState& state) {
  if (state.push_sources.empty()) return OkStatus();
  return BrokenRule(rule::kInvalid,
                    "the polling source cannot be set: push sources are still active, disable them "
                    "first: {}",
                    QuotedNames(state.push_sources));
}

Status CheckDisablePushSource(const ChainState& state, const DisablePushSource& event) {
  if (state.push_sources.contains(event.source_name)) return OkStatus();
  return BrokenRule(rule::kInvalid, "push source '{}' is not active; active are: {}", event.source_name,
                    state.push_sources.empty() ? "none" : QuotedNames(state.push_sources));
}

Status CheckDisablePollingSource(const ChainState& state) {
  if (state.polling_source) return OkStatus();
  return BrokenRule(rule::kInvalid, "no polling source is active");
}

Status CheckSharedSnapshot(const ChainState& state, const AddPushSource& source) {
  const bool is_snapshot = source.merge.kind == MergeKind::kSnapshot;
  std::vector<std::string> in_the_way;
  for (const auto& [name, other] : state.push_sources) {
    if (name == source.source_name) continue;
    if (is_snapshot || other.event.merge.kind == MergeKind::kSnapshot)
      in_the_way.push_back(fmt::format("'{}'", name));
  }
  if (in_the_way.empty()) return OkStatus();
  if (is_snapshot) {
    return InvalidArgument(
        "source '{}' has the Snapshot strategy and would retract the rows of other active sources: "
        "{}; allow it with --shared-snapshot",
        source.source_name, JoinNames(in_the_way));
  }
  return InvalidArgument(
      "the rows of source '{}' would be retracted by active sources with the Snapshot strategy: "
      "{}; allow it with --shared-snapshot",
      source.source_name, JoinNames(in_the_way));
}

}  // namespace sluice::odf

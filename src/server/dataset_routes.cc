// Datasets and their metadata: made, listed, changed, deleted (push-protocol.md 2, 7, 8).
#include <algorithm>
#include <nlohmann/json.hpp>

#include "ingest/metadata_commit.h"
#include "ingest/snapshot_rules.h"
#include "odf/yaml.h"
#include "server/access.h"
#include "server/chain_index.h"
#include "server/names.h"
#include "server/problem.h"
#include "server/quotas.h"
#include "server/routes.h"
#include "server/workers.h"
#include "workspace/manifests.h"
#include "workspace/trust.h"

namespace sluice::server {
namespace {

using nlohmann::json;

constexpr char kBody[] = "body";
constexpr int kQuotaRetrySeconds = 60;

json TimeOrNull(const std::optional<Instant>& time) {
  return time ? json(FormatInstant(*time)) : json(nullptr);
}

json DatasetJson(const workspace::Entry& entry, const dataset::Dataset& dataset) {
  const auto& state = dataset.state();
  json sources = json::array();
  for (const auto& [name, source] : state.push_sources) sources.push_back(name);
  return {{"name", entry.alias},
          {"id", entry.id.ToString()},
          {"kind", state.kind == odf::DatasetKind::kRoot ? "Root" : "Derivative"},
          {"head", dataset.head().ToString()},
          {"sequence", state.sequence},
          {"records", state.data_records},
          {"bytes", state.data_bytes},
          {"updated", TimeOrNull(state.last_data_time)},
          {"watermark", TimeOrNull(state.watermark())},
          {"pushSources", std::move(sources)},
          {"hasPollingSource", state.polling_source.has_value()}};
}

// --- what a manifest may use (push-protocol.md 8) ---

// What the caller's manifests may use of this machine. Whoever may use the workspace's folder may use all.
std::set<Capability> GrantedTo(const Context& context, const Caller& caller) {
  if (caller.is_operator) return AllCapabilities();
  return context.capabilities ? context.capabilities(caller.account) : std::set<Capability>();
}

// Polling sources that use what their sender was granted may use it when they are run: CheckCapabilities saw
// that it is all they ask for. Where they may go is another question.
Status TrustGranted(const Context& context, const Caller& caller,
                    const std::vector<odf::MetadataEvent>& events) {
  const auto granted = GrantedTo(context, caller);
  for (const auto& event : events) {
    const auto* source = std::get_if<odf::SetPollingSource>(&event);
    if (!source) continue;
    const bool is_whole = granted.contains(Capability::kPrivateAddresses);
    if (!is_whole && NeededCapabilities({event}).empty()) continue;
    RETURN_IF_ERROR(workspace::TrustSource(context.workspace->root(), *source,
                                           is_whole ? workspace::Trust::kWhole : workspace::Trust::kPublic));
  }
  return {};
}

// --- making ---

Result<std::vector<odf::DatasetSnapshot>> SnapshotsOf(const Call& call) {
  ASSIGN_OR_RETURN(auto manifests, odf::ParseManifests(call.request.body, kBody));
  std::vector<odf::DatasetSnapshot> snapshots;
  for (auto& manifest : manifests) {
    auto* snapshot = std::get_if<odf::DatasetSnapshot>(&manifest);
    if (!snapshot) {
      return InvalidArgument(
          "this manifest is not a DatasetSnapshot; metadata events go to POST /{{dataset}}/commit");
    }
    snapshots.push_back(std::move(*snapshot));
  }
  if (snapshots.empty()) return InvalidArgument("the body holds no DatasetSnapshot manifest");
  return snapshots;
}

Status CheckNewDataset(const Context& context, const Call& call, odf::DatasetSnapshot* snapshot,
                       const ingest::SourceRuleOptions& rules) {
  RETURN_IF_ERROR(workspace::CheckAlias(snapshot->name));
  const size_t slash = snapshot->name.find('/');
  if (IsReservedName(snapshot->name.substr(0, slash)) ||
      (slash != std::string::npos && IsDatasetWord(snapshot->name.substr(slash + 1))))
    return InvalidArgument("'{}' is a path of the node's own: choose another name", snapshot->name);
  RETURN_IF_ERROR(context.access->Check(call.caller, Right::kAdmin, snapshot->name, std::nullopt));
  RETURN_IF_ERROR(CheckCapabilities(snapshot->metadata, GrantedTo(context, call.caller)));
  RETURN_IF_ERROR(ingest::NormalizeEvents(&snapshot->metadata));
  // What refers to other datasets is judged once their names are ids.
  return snapshot->kind == odf::DatasetKind::kRoot ? ingest::CheckSnapshot(*snapshot, rules) : OkStatus();
}

// Inputs that the caller cannot see are not there.
Status CheckInputs(const Context& context, const Call& call,
                   const std::vector<const odf::DatasetSnapshot*>& made,
                   const std::vector<odf::MetadataEvent>& events) {
  for (const auto& event : events) {
    const auto* transform = std::get_if<odf::SetTransform>(&event);
    if (!transform) continue;
    for (const auto& input : transform->inputs) {
      bool with_it = false;
      for (const auto* other : made) with_it = with_it || other->name == input.dataset_ref;
      if (with_it) continue;
      auto entry = context.names->Resolve(input.dataset_ref);
      if (!entry.ok() || !MayDo(context, call.caller, Right::kRead, entry->alias))
        return InvalidArgument("input of SetTransform: Dataset not found: {}", input.dataset_ref);
    }
  }
  return {};
}

// Whose a dataset is: of the account before its name, or of those who have none.
bool IsOf(const std::string& account, std::string_view alias) {
  const size_t slash = alias.find('/');
  if (slash == std::string_view::npos) return account.empty();
  return net::EqualsIgnoringCase(alias.substr(0, slash), account);
}

// 429 when the account would have more datasets than it may; 403 for one that would not be its own, which
// nothing would count.
std::optional<net::HttpResponse> CheckQuota(const Context& context, const Call& call,
                                            const std::vector<odf::DatasetSnapshot>& added) {
  const auto& account = call.caller.account;
  const auto most = context.quotas->Of(account).datasets;
  if (!most || call.caller.is_operator) return std::nullopt;
  for (const auto& snapshot : added) {
    if (IsOf(account, snapshot.name)) continue;
    return Problem(
        MakeError(ErrorCode::kPermissionDenied,
                  "dataset '{0}' would not be of account '{1}', which has a quota of datasets: call "
                  "it '{1}/{0}'",
                  snapshot.name, account),
        call.id);
  }
  auto entries = context.names->List();
  if (!entries.ok()) return Problem(entries.error(), call.id);
  const auto own =
      std::ranges::count_if(*entries, [&](const auto& entry) { return IsOf(account, entry.alias); });
  if (static_cast<uint64_t>(own) + added.size() <= *most) return std::nullopt;
  gateway::Refusal refusal{
      .error = MakeError(ErrorCode::kResourceExhausted,
                         "this account may have {} dataset(s), there are {}: delete some first", *most, own)};
  refusal.http_status = 429;
  refusal.retry_after_seconds = kQuotaRetrySeconds;
  return Problem(refusal, call.id);
}

Result<net::HttpResponse> Create(const Context& context, const Call& call) {
  ingest::SourceRuleOptions rules;
  ASSIGN_OR_RETURN(rules.shared_snapshot, FlagParameter(call, "sharedSnapshot"));
  ASSIGN_OR_RETURN(auto snapshots, SnapshotsOf(call));
  std::vector<const odf::DatasetSnapshot*> plain;
  for (auto& snapshot : snapshots) {
    auto checked = CheckNewDataset(context, call, &snapshot, rules);
    if (!checked.ok()) return std::move(checked).error().With(fmt::format("dataset '{}'", snapshot.name));
    plain.push_back(&snapshot);
  }
  for (const auto& snapshot : snapshots)
    RETURN_IF_ERROR(CheckInputs(context, call, plain, snapshot.metadata));
  if (auto refused = CheckQuota(context, call, snapshots)) return std::move(*refused);
  ASSIGN_OR_RETURN(const auto order, workspace::DependencyOrder(plain));
  std::vector<workspace::NewDataset> wanted;
  for (const size_t i : order) {
    auto& snapshot = snapshots[i];
    RETURN_IF_ERROR(workspace::ResolveInputs(*context.workspace, wanted, &snapshot.metadata));
    if (snapshot.kind == odf::DatasetKind::kDerivative) {
      auto checked = ingest::CheckSnapshot(snapshot, rules);
      if (!checked.ok()) return std::move(checked).error().With(fmt::format("dataset '{}'", snapshot.name));
    }
    ASSIGN_OR_RETURN(auto key, multiformats::KeyPair::Generate());
    // A copy: names are still looked up in the others.
    wanted.push_back({snapshot, std::move(key), std::nullopt});
  }
  std::vector<workspace::Entry> made;
  for (const auto& one : wanted) RETURN_IF_ERROR(TrustGranted(context, call.caller, one.snapshot.metadata));
  RETURN_IF_ERROR(context.names->Change(context.limits.change_wait, [&]() -> Status {
    ASSIGN_OR_RETURN(made, context.workspace->CreateAll(wanted, *context.clock));
    return {};
  }));
  json list = json::array();
  for (const auto& entry : made) {
    ASSIGN_OR_RETURN(auto dataset, context.workspace->Open(entry));
    list.push_back(DatasetJson(entry, *dataset));
  }
  auto response = JsonResponse(201, {{"datasets", std::move(list)}});
  if (made.size() == 1)
    response.headers.Set("Location", "/" + net::PercentEncode(made.front().alias, /*keep_slash=*/true));
  return response;
}

Result<net::HttpResponse> Delete(const Context& context, const Call& call) {
  ASSIGN_OR_RETURN(const bool drop_queue, FlagParameter(call, "dropQueue"));
  ASSIGN_OR_RETURN(auto entry, DatasetOf(context, call));
  RETURN_IF_ERROR(
      context.gateway->RunExclusive(entry, {drop_queue, context.limits.change_wait, {}}, [&]() -> Status {
        ASSIGN_OR_RETURN(auto dependants, context.workspace->Dependants(entry.id));
        std::string names;
        for (const auto& other : dependants) {
          if (MayDo(context, call.caller, Right::kRead, other.alias))
            names += (names.empty() ? "" : ", ") + other.alias;
        }
        if (!dependants.empty()) {
          return MakeError(ErrorCode::kConflict, "dataset '{}' is an input of others{}: delete those first",
                           entry.alias, names.empty() ? "" : " (" + names + ")");
        }
        RETURN_IF_ERROR(context.workspace->Delete(entry));
        context.gateway->NoteDeleted(entry);
        return {};
      }));
  context.names->Invalidate();
  context.chains->Forget(entry.id);
  return JsonResponse(200, {{"status", "deleted"}, {"name", entry.alias}, {"id", entry.id.ToString()}});
}

// --- changing ---

Result<std::vector<odf::MetadataEvent>> EventsOf(const Call& call) {
  std::vector<odf::MetadataEvent> events;
  auto manifests = odf::ParseManifests(call.request.body, kBody);
  if (!manifests.ok()) {
    // One event without an envelope is fine too.
    auto event = odf::ParseEvent(call.request.body, kBody);
    const bool has_envelope = call.request.body.find("content") != std::string::npos;
    if (!event.ok()) return has_envelope ? std::move(manifests).error() : std::move(event).error();
    events.push_back(std::move(*event));
    return events;
  }
  for (auto& manifest : *manifests) {
    auto* event = std::get_if<odf::MetadataEvent>(&manifest);
    if (!event) {
      return InvalidArgument("this manifest is not a MetadataEvent; DatasetSnapshots go to POST /datasets");
    }
    events.push_back(std::move(*event));
  }
  return events;
}

Result<net::HttpResponse> Commit(const Context& context, const Call& call,
                                 std::vector<odf::MetadataEvent> events) {
  ingest::MetadataCommit request;
  ASSIGN_OR_RETURN(request.rules.shared_snapshot, FlagParameter(call, "sharedSnapshot"));
  ASSIGN_OR_RETURN(const bool drop_queue, FlagParameter(call, "dropQueue"));
  ASSIGN_OR_RETURN(auto entry, DatasetOf(context, call));
  RETURN_IF_ERROR(CheckCapabilities(events, GrantedTo(context, call.caller)));
  RETURN_IF_ERROR(ingest::CheckGivenEvents(&events));
  RETURN_IF_ERROR(CheckInputs(context, call, {}, events));
  RETURN_IF_ERROR(workspace::ResolveInputs(*context.workspace, {}, &events));
  RETURN_IF_ERROR(TrustGranted(context, call.caller, events));
  json notes = json::array();
  for (const auto& event : events) {
    if (std::holds_alternative<odf::DisablePushSource>(event) ||
        std::holds_alternative<odf::DisablePollingSource>(event)) {
      notes.push_back("kamu versions up to 0.265 cannot extend a chain that holds a disable event");
      break;
    }
  }
  ingest::MetadataCommitResult result;
  request.events = std::move(events);
  request.stop = call.request.stop;
  const Status done =
      context.gateway->RunExclusive(entry, {drop_queue, context.limits.change_wait, {}}, [&]() -> Status {
        ASSIGN_OR_RETURN(auto guard, context.workspace->BeginCommit(entry.id));
        ASSIGN_OR_RETURN(auto dataset, context.workspace->Open(entry));
        RETURN_IF_ERROR(dataset->EnsureDurable());
        request.now = context.clock->Now();
        ASSIGN_OR_RETURN(result, ingest::CommitMetadata(*guard, *dataset, std::move(request)));
        return {};
      });
  if (!done.ok()) return Error(done.error()).With(fmt::format("dataset '{}'", entry.alias));
  if (!result.index.ok()) {
    notes.push_back("the key index is not complete and will be built by the next ingest: " +
                    result.index.error().ToString());
  }
  json blocks = json::array();
  for (const auto& block : result.commit.blocks) blocks.push_back(block.ToString());
  return JsonResponse(
      200, {{"status", "committed"},
            {"oldHead", result.commit.old_head ? json(result.commit.old_head->ToString()) : json(nullptr)},
            {"newHead", result.commit.new_head.ToString()},
            {"sequence", result.commit.sequence},
            {"blocks", std::move(blocks)},
            {"notes", std::move(notes)}});
}

Result<net::HttpResponse> AddSources(const Context& context, const Call& call) {
  ASSIGN_OR_RETURN(auto events, EventsOf(call));
  for (const auto& event : events) {
    if (!std::holds_alternative<odf::AddPushSource>(event) &&
        !std::holds_alternative<odf::SetPollingSource>(event)) {
      return InvalidArgument("'{}' is not a source: expected AddPushSource or SetPollingSource",
                             odf::KindNameOf(event));
    }
  }
  return Commit(context, call, std::move(events));
}

Result<net::HttpResponse> Disable(const Context& context, const Call& call) {
  ASSIGN_OR_RETURN(auto entry, DatasetOf(context, call));
  ASSIGN_OR_RETURN(auto dataset, context.workspace->Open(entry));
  // The polling source's name is two segments of the path.
  const std::string name = call.rest.empty() ? std::string(odf::kPollingSourceName) : call.rest[0];
  std::vector<odf::MetadataEvent> events;
  if (name == odf::kPollingSourceName && dataset->state().polling_source) {
    events.push_back(odf::DisablePollingSource{});
  } else if (dataset->state().push_sources.contains(name)) {
    events.push_back(odf::DisablePushSource{name});
  } else {
    std::string names;
    for (const auto& [other, source] : dataset->state().push_sources)
      names += (names.empty() ? "" : ", ") + other;
    return NotFound("dataset has no active source named '{}'{}", name,
                    names.empty() ? "" : "; its push sources are: " + names);
  }
  return Commit(context, call, std::move(events));
}

}  // namespace

void PostDatasets(const Context& context, const CallPtr& call) {
  AnswerLater(*context.short_calls, call, [&context, call] { return Create(context, *call); });
}

void GetDatasets(const Context& context, const CallPtr& call) {
  AnswerLater(*context.short_calls, call, [&context, call]() -> Result<net::HttpResponse> {
    ASSIGN_OR_RETURN(auto entries, context.names->List());
    json list = json::array();
    for (const auto& entry : entries) {
      if (!MayDo(context, call->caller, Right::kRead, entry.alias)) continue;
      auto dataset = context.workspace->Open(entry);
      if (!dataset.ok() && dataset.error().code() == ErrorCode::kNotFound) continue;  // deleted meanwhile
      if (!dataset.ok()) return std::move(dataset).error();
      list.push_back(DatasetJson(entry, **dataset));
    }
    return JsonResponse(200, {{"datasets", std::move(list)}});
  });
}

void GetDataset(const Context& context, const CallPtr& call) {
  AnswerLater(*context.short_calls, call, [&context, call]() -> Result<net::HttpResponse> {
    ASSIGN_OR_RETURN(auto entry, DatasetOf(context, *call));
    ASSIGN_OR_RETURN(auto dataset, context.workspace->Open(entry));
    const auto& state = dataset->state();
    json body = DatasetJson(entry, *dataset);
    body["description"] = nullptr;
    body["keywords"] = json::array();
    if (state.info && state.info->description) body["description"] = *state.info->description;
    if (state.info && state.info->keywords) body["keywords"] = *state.info->keywords;
    body["license"] = state.license ? json(state.license->short_name) : json(nullptr);
    body["vocabulary"] = {{"offset", state.vocabulary.offset},
                          {"operationType", state.vocabulary.op},
                          {"systemTime", state.vocabulary.system_time},
                          {"eventTime", state.vocabulary.event_time}};
    return JsonResponse(200, body);
  });
}

void DeleteDataset(const Context& context, const CallPtr& call) {
  AnswerLater(*context.short_calls, call, [&context, call] { return Delete(context, *call); });
}

void PostCommit(const Context& context, const CallPtr& call) {
  AnswerLater(*context.short_calls, call, [&context, call]() -> Result<net::HttpResponse> {
    ASSIGN_OR_RETURN(auto events, EventsOf(*call));
    return Commit(context, *call, std::move(events));
  });
}

void PostSources(const Context& context, const CallPtr& call) {
  AnswerLater(*context.short_calls, call, [&context, call] { return AddSources(context, *call); });
}

void DeleteSource(const Context& context, const CallPtr& call) {
  AnswerLater(*context.short_calls, call, [&context, call] { return Disable(context, *call); });
}

}  // namespace sluice::server

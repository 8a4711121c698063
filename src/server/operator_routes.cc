// What only the workspace's operator may see and do.
#include <charconv>
#include <nlohmann/json.hpp>

#include "server/leases.h"
#include "server/names.h"
#include "server/problem.h"
#include "server/promises.h"
#include "server/puller.h"
#include "server/routes.h"

namespace sluice::server {
namespace {

using nlohmann::json;

json TimeOrNull(const std::optional<Instant>& time) {
  return time ? json(FormatInstant(*time)) : json(nullptr);
}

json ScheduleJson(const Context& context, const Caller& caller) {
  json list = json::array();
  if (!context.puller) return list;
  for (const auto& [alias, view] : context.puller->views()) {
    if (!MayDo(context, caller, Right::kAdmin, alias)) continue;
    const auto& state = view.state;
    list.push_back({{"dataset", alias},
                    {"isRunning", view.is_running},
                    {"nextRun", TimeOrNull(state.next_run)},
                    {"lastStart", TimeOrNull(state.last_start)},
                    {"lastEnd", TimeOrNull(state.last_end)},
                    {"runs", state.runs},
                    {"failures", state.failures},
                    {"missed", state.missed},
                    {"records", view.records},
                    {"lastError", state.last_failed ? json(state.last_error) : json(nullptr)}});
  }
  return list;
}

Result<net::HttpResponse> Compact(const Context& context, const Call& call) {
  ASSIGN_OR_RETURN(const auto entry,
                   context.names->Resolve(call.request.url.Parameter("dataset").value_or("")));
  workspace::CompactOptions options;
  const auto number = [&](const char* name, uint64_t fallback) {
    return NumberParameter(call, name, fallback, 1, UINT64_MAX);
  };
  ASSIGN_OR_RETURN(options.max_slice_bytes, number("maxSliceBytes", options.max_slice_bytes));
  ASSIGN_OR_RETURN(options.max_slice_records, number("maxSliceRecords", options.max_slice_records));
  ASSIGN_OR_RETURN(options.keep_metadata_only, FlagParameter(call, "keepMetadataOnly"));
  ASSIGN_OR_RETURN(options.verify_first, FlagParameter(call, "verify"));
  options.stop = call.request.stop;
  ASSIGN_OR_RETURN(const auto outcome, context.gateway->Compact(entry, options));
  return JsonResponse(
      200,
      {{"dataset", entry.alias}, {"changed", outcome.changed}, {"oldFilesKept", outcome.old_files_kept}});
}

}  // namespace

void GetStatus(const Context& context, const CallPtr& call) {
  const Status health = context.gateway->health();
  json datasets = json::array();
  uint64_t queued = 0;
  for (const auto& dataset : context.gateway->status()) {
    if (!MayDo(context, call->caller, Right::kAdmin, dataset.entry.alias)) continue;
    json sources = json::array();
    for (const auto& source : dataset.sources) {
      if (source.is_polling) continue;  // in the schedule
      queued += source.queued;
      sources.push_back({{"sourceName", source.name},
                         {"queued", source.queued},
                         {"queuedBytes", source.queued_bytes},
                         {"oldest", TimeOrNull(source.oldest)},
                         {"accepted", source.accepted ? json(source.accepted->value) : json(nullptr)},
                         {"committed", source.committed ? json(source.committed->value) : json(nullptr)},
                         {"stoppedAt", source.stopped ? json(*source.stopped) : json(nullptr)},
                         {"lastError", source.last_error}});
    }
    datasets.push_back({{"dataset", dataset.entry.alias},
                        {"waiting", dataset.waiting},
                        {"deadLetters", dataset.dead_letters},
                        {"commits", dataset.commits},
                        {"records", dataset.records},
                        {"lastError", dataset.last_error},
                        {"sources", std::move(sources)}});
  }
  json status = {{"ready", health.ok()},
                 {"reason", nullptr},
                 {"queuedBatches", queued},
                 {"schedule", ScheduleJson(context, call->caller)},
                 {"promises", ToJson(*context.promises)},
                 {"datasets", std::move(datasets)}};
  if (!health.ok()) status["reason"] = "batches cannot be made durable";
  if (call->caller.is_operator) {  // what concerns all accounts, and the machine
    const auto journal = context.gateway->journal_stats();
    if (!health.ok()) status["reason"] = health.error().ToString();
    status["queuedBatches"] = journal.queued;
    status["queueDiskBytes"] = journal.queue_bytes;
    status["journalDiskBytes"] = journal.log_bytes;
    status["waitingBytes"] = context.gateway->waiting_bytes();
  }
  call->Answer(JsonResponse(200, status));
}

void GetQueue(const Context& context, const CallPtr& call) {
  auto entry = DatasetOf(context, *call);
  if (!entry.ok()) return call->Answer(Problem(entry.error(), call->id));
  auto letters = context.gateway->DeadLetters(*entry);
  if (!letters.ok()) return call->Answer(Problem(letters.error(), call->id));
  json dead = json::array();
  for (const auto& letter : *letters) {
    dead.push_back({{"receipt", letter.receipt},
                    {"sourceName", letter.source},
                    {"account", letter.account},
                    {"received", FormatInstant(letter.received)},
                    {"failed", FormatInstant(letter.failed)},
                    {"bytes", letter.bytes},
                    {"reason", letter.reason}});
  }
  auto views = context.gateway->Sources(*entry, std::nullopt);
  if (!views.ok()) return call->Answer(Problem(views.error(), call->id));
  json sources = json::array();
  for (const auto& view : *views) {
    if (view.is_polling) continue;  // nothing of it is queued
    sources.push_back({{"sourceName", view.name},
                       {"queued", view.queued},
                       {"queuedBytes", view.queued_bytes},
                       {"oldest", TimeOrNull(view.oldest)},
                       {"stoppedAt", view.stopped ? json(*view.stopped) : json(nullptr)},
                       {"lastError", view.last_error}});
  }
  call->Answer(JsonResponse(200, {{"sources", std::move(sources)}, {"deadLetters", std::move(dead)}}));
}

void PostQueue(const Context& context, const CallPtr& call) {
  auto entry = DatasetOf(context, *call);
  if (!entry.ok()) return call->Answer(Problem(entry.error(), call->id));
  const auto& receipt = call->rest[0];
  const auto& action = call->rest[1];
  if (action != "retry" && action != "drop")
    return call->Answer(Problem(404, fmt::format("'{}' is neither retry nor drop", action), call->id));
  if (action == "retry") {
    const auto again = context.gateway->Retry(*entry, receipt);
    if (!again.ok()) return call->Answer(Problem(again.error(), call->id));
    return call->Answer(JsonResponse(200, {{"receipt", *again}, {"status", "queued"}}));
  }
  const Status dropped = context.gateway->Drop(*entry, receipt);
  if (!dropped.ok()) return call->Answer(Problem(dropped.error(), call->id));
  call->Answer(JsonResponse(200, {{"receipt", receipt}, {"status", "dropped"}}));
}

void PostCompact(const Context& context, const CallPtr& call) { call->Answer(Compact(context, *call)); }

void PostLease(const Context& context, const CallPtr& call) {
  const auto& url = call->request.url;
  Leases::Request request;
  if (auto dataset = url.Parameter("dataset")) {
    auto found = context.names->Resolve(*dataset);
    if (!found.ok()) return call->Answer(Problem(found.error(), call->id));
    request.dataset = std::move(*found);
  }
  const auto drop_queue = FlagParameter(*call, "dropQueue");
  if (!drop_queue.ok()) return call->Answer(Problem(drop_queue.error(), call->id));
  request.drop_queue = *drop_queue;
  request.adds_to = url.Parameter("addsTo");
  request.granted = [call](Result<std::string> lease) {
    if (!lease.ok()) return call->Answer(Problem(lease.error(), call->id));
    call->Answer(JsonResponse(200, {{"lease", *lease}}));
  };
  request.is_wanted = [call] { return !call->responder->is_client_gone(); };
  context.leases->Grant(std::move(request));
}

void DeleteLease(const Context& context, const CallPtr& call) {
  context.leases->End(call->rest[0], [call] { call->Answer(JsonResponse(200, {{"status", "ended"}})); });
}

}  // namespace sluice::server

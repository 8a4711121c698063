#include <nlohmann/json.hpp>

#include "server/access.h"
#include "server/metrics.h"
#include "server/problem.h"
#include "server/puller.h"
#include "server/quotas.h"
#include "server/routes.h"
#include "server/workers.h"

namespace sluice::server {
namespace {

using nlohmann::json;

void Gauge(std::string* out, std::string_view name, std::string_view help, double value) {
  *out += fmt::format("# HELP {} {}\n# TYPE {} gauge\n{} {}\n", name, help, name, name, value);
}

// Of the datasets that the viewer may read.
std::string PullMetrics(const Context& context, const Caller& viewer) {
  std::string text;
  if (!context.puller) return text;
  const auto views = context.puller->views();
  const auto add = [&](std::string_view name, std::string_view type, std::string_view help, auto value) {
    text += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
    for (const auto& [alias, view] : views)
      if (MayDo(context, viewer, Right::kRead, alias))
        text += fmt::format("{}{{dataset=\"{}\"}} {}\n", name, LabelValue(alias), value(view));
  };
  using View = Puller::View;
  const auto seconds = [](const std::optional<Instant>& time) { return time ? time->seconds : 0; };
  add("sluice_pulls_total", "counter", "Scheduled pulls that were started, ever.",
      [](const View& view) { return view.state.runs; });
  add("sluice_pull_records_total", "counter", "Records that they added since the start.",
      [](const View& view) { return view.records; });
  add("sluice_pull_failures", "gauge", "Failures in a row.",
      [](const View& view) { return view.state.failures; });
  add("sluice_pull_running", "gauge", "1 while a dataset is being pulled.",
      [](const View& view) { return view.is_running ? 1 : 0; });
  add("sluice_pull_last_end_seconds", "gauge", "When the last pull ended, in Unix time; 0: never.",
      [&](const View& view) { return seconds(view.state.last_end); });
  add("sluice_pull_next_run_seconds", "gauge", "When the next pull is due, in Unix time; 0: never.",
      [&](const View& view) { return seconds(view.state.next_run); });
  return text;
}

// By account; those of nobody known have no name. An account sees its own.
std::string TenantMetrics(const Context& context, const Caller& viewer) {
  auto uses = context.quotas->uses();
  auto held = context.gateway->tenants();
  if (viewer.principal) {
    const auto is_others = [&](const auto& use) { return use.first != viewer.account; };
    std::erase_if(uses, is_others);
    std::erase_if(held, is_others);
  }
  std::string text;
  const auto add = [&](std::string_view name, std::string_view help, uint64_t Quotas::Use::* member) {
    text += fmt::format("# HELP {} {}\n# TYPE {} counter\n", name, help, name);
    for (const auto& [account, use] : uses)
      text += fmt::format("{}{{tenant=\"{}\"}} {}\n", name, LabelValue(account), use.*member);
  };
  add("sluice_tenant_requests_total", "Requests of an account that were within its quota.",
      &Quotas::Use::requests);
  add("sluice_tenant_bytes_total", "Bytes of their bodies, decoded.", &Quotas::Use::bytes);
  add("sluice_tenant_refused_total", "Requests of an account over its quota.", &Quotas::Use::refused);
  const auto gauge = [&](std::string_view name, std::string_view help,
                         uint64_t gateway::TenantUse::* member) {
    text += fmt::format("# HELP {} {}\n# TYPE {} gauge\n", name, help, name);
    for (const auto& [account, use] : held)
      text += fmt::format("{}{{tenant=\"{}\"}} {}\n", name, LabelValue(account), use.*member);
  };
  gauge("sluice_tenant_waiting_bytes", "Bytes of an account's batches that wait in memory.",
        &gateway::TenantUse::waiting_bytes);
  gauge("sluice_tenant_queued_bytes", "Bytes of an account's batches in the durable queue.",
        &gateway::TenantUse::queued_bytes);
  return text;
}

// What a probe is told: anybody may ask, and where the node keeps its files is nobody else's business.
std::string WithoutPaths(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const char before = shown.empty() ? ' ' : shown.back();
    if (text.front() != '/' || std::string_view(" '\"(=").find(before) == std::string_view::npos) {
      shown += text.front();
      text.remove_prefix(1);
      continue;
    }
    shown += "<path>";
    const bool is_quoted = before == '\'' || before == '"';
    const size_t end = is_quoted ? text.find(before) : text.find_first_of(" ,;:)\"'");
    text.remove_prefix(std::min(end, text.size()));
  }
  return shown;
}

bool SeesNode(const Context& context, const Caller& caller) {
  return caller.is_operator || (caller.principal && MayDo(context, caller, Right::kAdmin, ""));
}

}  // namespace

void GetLive(const Context&, const CallPtr& call) { call->Answer(JsonResponse(200, {{"status", "live"}})); }

void GetReady(const Context& context, const CallPtr& call) {
  Status health = context.gateway->health();
  if (health.ok() && context.more_health) health = context.more_health();
  if (health.ok()) return call->Answer(JsonResponse(200, {{"status", "ready"}}));
  const auto caller = context.access->Authenticate(call->request);
  const std::string reason = health.error().ToString();
  const bool sees_all = caller.ok() && SeesNode(context, *caller);
  auto response = Problem(503, "not ready: " + (sees_all ? reason : WithoutPaths(reason)), call->id);
  response.headers.Set("Retry-After", "1");
  call->Answer(std::move(response));
}

void GetMetrics(const Context& context, const CallPtr& call) {
  // The node's own counts are for everybody; names of datasets and accounts for whom they are shown anyway.
  const auto known = context.access->Authenticate(call->request);
  const Caller* viewer = known.ok() ? &*known : nullptr;
  std::string text = context.metrics->Render();
  const auto journal = context.gateway->journal_stats();
  Gauge(&text, "sluice_ready", "1 when batches can be acknowledged.", context.gateway->health().ok() ? 1 : 0);
  Gauge(&text, "sluice_waiting_bytes", "Bytes of batches that wait in memory.",
        static_cast<double>(context.gateway->waiting_bytes()));
  Gauge(&text, "sluice_queue_batches", "Batches in the durable queue.", static_cast<double>(journal.queued));
  Gauge(&text, "sluice_queue_disk_bytes", "Disk space of the durable queue.",
        static_cast<double>(journal.queue_bytes));
  Gauge(&text, "sluice_journal_disk_bytes", "Disk space of the outcome journal.",
        static_cast<double>(journal.log_bytes));
  Gauge(&text, "sluice_idempotency_keys", "Idempotency keys that are remembered.",
        static_cast<double>(journal.keys));
  Gauge(&text, "sluice_long_calls", "Queries and verifications that run.",
        static_cast<double>(context.long_calls->running()));
  Gauge(&text, "sluice_long_calls_waiting", "Queries and verifications that wait for a thread.",
        static_cast<double>(context.long_calls->waiting()));
  Gauge(&text, "sluice_journal_start_records", "Records of the log that the start had to read.",
        static_cast<double>(journal.records_read));
  Gauge(&text, "sluice_journal_checkpoints", "Checkpoints of the log written since the start.",
        static_cast<double>(journal.checkpoints));
  text +=
      "# HELP sluice_commits_total Commits since the start.\n# TYPE sluice_commits_total counter\n"
      "# HELP sluice_records_total Records committed since the start.\n# TYPE sluice_records_total counter\n";
  for (const auto& dataset : viewer ? context.gateway->counts() : std::vector<gateway::Gateway::Counts>()) {
    if (!MayDo(context, *viewer, Right::kRead, dataset.alias)) continue;
    const std::string label = LabelValue(dataset.alias);
    text += fmt::format("sluice_commits_total{{dataset=\"{}\"}} {}\n", label, dataset.commits);
    text += fmt::format("sluice_records_total{{dataset=\"{}\"}} {}\n", label, dataset.records);
  }
  if (viewer) text += TenantMetrics(context, *viewer) + PullMetrics(context, *viewer);
  const bool sees_node = viewer && (viewer->is_anonymous || SeesNode(context, *viewer));
  if (context.more_metrics && sees_node) text += context.more_metrics();
  net::HttpResponse response;
  response.headers.Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  response.body = std::move(text);
  call->Answer(std::move(response));
}

}  // namespace sluice::server

#include <nlohmann/json.hpp>

#include "server/metrics.h"
#include "server/problem.h"
#include "server/quotas.h"
#include "server/routes.h"
#include "server/workers.h"

namespace sluice::server {
namespace {

using nlohmann::json;

void Gauge(std::string* out, std::string_view name, std::string_view help, double value) {
  *out += fmt::format("# HELP {} {}\n# TYPE {} gauge\n{} {}\n", name, help, name, name, value);
}

// By account; those of nobody known have no name.
std::string TenantMetrics(const Context& context) {
  const auto uses = context.quotas->uses();
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
  return text;
}

}  // namespace

void GetLive(const Context&, const CallPtr& call) { call->Answer(JsonResponse(200, {{"status", "live"}})); }

void GetReady(const Context& context, const CallPtr& call) {
  const Status health = context.gateway->health();
  if (health.ok()) return call->Answer(JsonResponse(200, {{"status", "ready"}}));
  auto response = Problem(503, "not ready: " + health.error().ToString(), call->id);
  response.headers.Set("Retry-After", "1");
  call->Answer(std::move(response));
}

void GetMetrics(const Context& context, const CallPtr& call) {
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
  text +=
      "# HELP sluice_commits_total Commits since the start.\n# TYPE sluice_commits_total counter\n"
      "# HELP sluice_records_total Records committed since the start.\n# TYPE sluice_records_total counter\n";
  for (const auto& dataset : context.gateway->status()) {
    const std::string label = LabelValue(dataset.entry.alias);
    text += fmt::format("sluice_commits_total{{dataset=\"{}\"}} {}\n", label, dataset.commits);
    text += fmt::format("sluice_records_total{{dataset=\"{}\"}} {}\n", label, dataset.records);
  }
  text += TenantMetrics(context);
  if (context.more_metrics) text += context.more_metrics();
  net::HttpResponse response;
  response.headers.Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  response.body = std::move(text);
  call->Answer(std::move(response));
}

}  // namespace sluice::server

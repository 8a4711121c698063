#include <nlohmann/json.hpp>

#include "server/metrics.h"
#include "server/problem.h"
#include "server/routes.h"

namespace sluice::server {
namespace {

using nlohmann::json;

void Gauge(std::string* out, std::string_view name, std::string_view help, double value) {
  *out += fmt::format("# HELP {} {}\n# TYPE {} gauge\n{} {}\n", name, help, name, name, value);
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
  text +=
      "# HELP sluice_commits_total Commits since the start.\n# TYPE sluice_commits_total counter\n"
      "# HELP sluice_records_total Records committed since the start.\n# TYPE sluice_records_total counter\n";
  for (const auto& dataset : context.gateway->status()) {
    const std::string label = LabelValue(dataset.entry.alias);
    text += fmt::format("sluice_commits_total{{dataset=\"{}\"}} {}\n", label, dataset.commits);
    text += fmt::format("sluice_records_total{{dataset=\"{}\"}} {}\n", label, dataset.records);
  }
  net::HttpResponse response;
  response.headers.Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  response.body = std::move(text);
  call->Answer(std::move(response));
}

}  // namespace sluice::server

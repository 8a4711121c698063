#include "cli/pipeline_view.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "base/quantity.h"
#include "pipeline/host.h"

namespace sluice::cli {
namespace {

constexpr std::string_view kUp = "\x1b[A\x1b[2K";

// In the order that a record meets them.
std::vector<const pipeline::StageCounters*> InOrder(const pipeline::PipelineMetrics& metrics) {
  static constexpr std::string_view kOrder[] = {"ingestor", "spool",  "processor",
                                                "writer",   "branch", "dead_letter"};
  auto stages = metrics.stages();
  const auto rank = [](const pipeline::StageCounters* stage) {
    return std::find(std::begin(kOrder), std::end(kOrder), stage->stage) - std::begin(kOrder);
  };
  std::stable_sort(stages.begin(), stages.end(),
                   [&](const auto* a, const auto* b) { return rank(a) < rank(b); });
  return stages;
}

}  // namespace

PipelineView::PipelineView(Session& session)
    : session_(session),
      is_live_(session.stderr_is_terminal() && !session.quiet && !session.no_color),
      last_(std::chrono::steady_clock::now()) {}

std::string PipelineView::Lines(const pipeline::PipelineMetrics& metrics, double seconds) {
  std::string text =
      fmt::format("{}: {} in flight ({}), lag {:.1f} s{}\n", metrics.pipeline(),
                  metrics.in_flight_records.load(), ShowBytes(metrics.in_flight_bytes),
                  static_cast<double>(metrics.lag_millis) / 1000, metrics.is_ready ? "" : ", NOT WELL");
  ++shown_lines_;
  for (const auto* stage : InOrder(metrics)) {
    const uint64_t records = stage->records;
    uint64_t& before = before_[metrics.pipeline() + "/" + stage->stage + "/" + stage->connector];
    before = std::min(before, records);  // after a reload it begins anew
    if (stage->stage == "dead_letter" && records == 0) continue;
    text += fmt::format("  {:<11} {:<20} {:>10.0f}/s {:>12} records", stage->stage, stage->connector,
                        seconds > 0 ? static_cast<double>(records - before) / seconds : 0.0, records);
    if (stage->duplicates > 0) text += fmt::format(", {} duplicates", stage->duplicates.load());
    if (stage->retries > 0) text += fmt::format(", {} retries", stage->retries.load());
    if (stage->rejected > 0) text += fmt::format(", {} rejected", stage->rejected.load());
    if (stage->failed > 0) text += fmt::format(", {} failed", stage->failed.load());
    text += '\n';
    before = records;
    ++shown_lines_;
  }
  return text;
}

void PipelineView::Show(pipeline::PipelineHost& host) {
  if (!is_live_) return;
  std::string text;
  for (int i = 0; i < shown_lines_; ++i) text += kUp;
  shown_lines_ = 0;
  const auto now = std::chrono::steady_clock::now();
  const double seconds = std::chrono::duration<double>(now - last_).count();
  last_ = now;
  host.Visit([&](const pipeline::PipelineMetrics& metrics) { text += Lines(metrics, seconds); });
  if (!text.empty()) text.pop_back();
  session_.Say(text);
}

void PipelineView::Finish(pipeline::PipelineHost& host) {
  for (const auto& total : host.totals()) {
    std::string text = fmt::format("{}: {} records taken", total.pipeline, total.taken);
    const auto add = [&text](uint64_t count, std::string_view what) {
      if (count > 0) text += fmt::format(", {} {}", count, what);
    };
    add(total.found, "found in the spool");
    text += fmt::format(", {} written", total.written);
    add(total.duplicates, "there before");
    add(total.dropped, "dropped");
    text += fmt::format(", {} rejected, {} not acknowledged", total.rejected, total.failed);
    add(total.waiting, "left in the spool");
    session_.Say(text);
  }
}

}  // namespace sluice::cli

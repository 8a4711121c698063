#include "pipeline/metrics.h"

#include <fmt/format.h>

#include <array>
#include <functional>

namespace sluice::pipeline {
namespace {

// More tenants than this are counted together, so that whoever makes up tenants makes up no series.
constexpr size_t kMaxTenants = 1000;
constexpr std::string_view kOthers = "(others)";

struct Family {
  std::string_view name, type, help;
};

constexpr std::array<Family, 17> kFamilies = {{
    {"sluice_pipeline_records_total", "counter", "Records that left a stage"},
    {"sluice_pipeline_batches_total", "counter", "Batches that left a stage"},
    {"sluice_pipeline_bytes_total", "counter", "Bytes in memory of the records of those batches"},
    {"sluice_pipeline_duplicates_total", "counter", "Records that were there before"},
    {"sluice_pipeline_rejected_total", "counter", "Records rejected for good"},
    {"sluice_pipeline_failed_total", "counter", "Records that the upstream was told to deliver again"},
    {"sluice_pipeline_retries_total", "counter", "Records tried again"},
    {"sluice_pipeline_lost_total", "counter",
     "Records that a best_effort writer did not get, and that are kept nowhere"},
    {"sluice_pipeline_busy_seconds_total", "counter", "Time spent in a stage"},
    {"sluice_pipeline_in_flight_records", "gauge", "Records whose outcome is not known yet"},
    {"sluice_pipeline_in_flight_bytes", "gauge", "Bytes of records whose outcome is not known yet"},
    {"sluice_pipeline_spool_bytes", "gauge", "Size of the spool on disk"},
    {"sluice_pipeline_lag_seconds", "gauge", "Age of the oldest record whose outcome is not known"},
    {"sluice_pipeline_ready", "gauge", "1 when it takes records"},
    {"sluice_pipeline_tenant_records_total", "counter", "Records taken, by tenant"},
    {"sluice_pipeline_tenant_bytes_total", "counter", "Bytes of records taken, by tenant"},
    {"sluice_pipeline_tenant_refused_total", "counter", "Records refused, by tenant"},
}};

constexpr size_t kFirstOfPipeline = 9;  // those before are of a stage
constexpr size_t kFirstOfTenant = 14;

// Quotes, backslashes and line ends of a label's value.
std::string Label(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == '"') escaped += '\\';
    if (c == '\n') {
      escaped += "\\n";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

double StageValue(const StageCounters& stage, std::string_view family) {
  if (family == kFamilies[0].name) return static_cast<double>(stage.records);
  if (family == kFamilies[1].name) return static_cast<double>(stage.batches);
  if (family == kFamilies[2].name) return static_cast<double>(stage.bytes);
  if (family == kFamilies[3].name) return static_cast<double>(stage.duplicates);
  if (family == kFamilies[4].name) return static_cast<double>(stage.rejected);
  if (family == kFamilies[5].name) return static_cast<double>(stage.failed);
  if (family == kFamilies[6].name) return static_cast<double>(stage.retries);
  if (family == kFamilies[7].name) return static_cast<double>(stage.lost);
  return static_cast<double>(stage.busy_micros) / 1e6;
}

}  // namespace

StageCounters& PipelineMetrics::Stage(std::string stage, std::string connector) {
  std::lock_guard lock(mutex_);
  for (const auto& known : stages_) {
    if (known->stage == stage && known->connector == connector) return *known;
  }
  auto made = std::make_unique<StageCounters>();
  made->stage = std::move(stage);
  made->connector = std::move(connector);
  stages_.push_back(std::move(made));
  return *stages_.back();
}

void PipelineMetrics::CountTenant(std::string_view tenant, uint64_t records, uint64_t bytes,
                                  uint64_t refused) {
  std::lock_guard lock(mutex_);
  auto found = tenants_.find(tenant);
  if (found == tenants_.end())
    found = tenants_.try_emplace(std::string(tenants_.size() < kMaxTenants ? tenant : kOthers)).first;
  found->second.records += records;
  found->second.bytes += bytes;
  found->second.refused += refused;
}

std::vector<const StageCounters*> PipelineMetrics::stages() const {
  std::lock_guard lock(mutex_);
  std::vector<const StageCounters*> all;
  for (const auto& stage : stages_) all.push_back(stage.get());
  return all;
}

void PipelineMetrics::Render(std::string_view family, std::string* out) const {
  const std::string pipeline = Label(pipeline_);
  size_t index = 0;
  while (index < kFamilies.size() && kFamilies[index].name != family) ++index;
  if (index < kFirstOfPipeline) {
    for (const auto* stage : stages()) {
      *out += fmt::format("{}{{pipeline=\"{}\",stage=\"{}\",connector=\"{}\"}} {}\n", family, pipeline,
                          stage->stage, Label(stage->connector), StageValue(*stage, family));
    }
    return;
  }
  if (index < kFirstOfTenant) {
    const double values[] = {static_cast<double>(in_flight_records), static_cast<double>(in_flight_bytes),
                             static_cast<double>(spool_bytes), static_cast<double>(lag_millis) / 1e3,
                             is_ready ? 1.0 : 0.0};
    *out += fmt::format("{}{{pipeline=\"{}\"}} {}\n", family, pipeline, values[index - kFirstOfPipeline]);
    return;
  }
  std::lock_guard lock(mutex_);
  for (const auto& [name, tenant] : tenants_) {
    const uint64_t values[] = {tenant.records, tenant.bytes, tenant.refused};
    *out += fmt::format("{}{{pipeline=\"{}\",tenant=\"{}\"}} {}\n", family, pipeline, Label(name),
                        values[index - kFirstOfTenant]);
  }
}

std::string RenderMetrics(const std::vector<const PipelineMetrics*>& pipelines) {
  std::string text;
  for (const auto& family : kFamilies) {
    text += fmt::format("# HELP {} {}\n# TYPE {} {}\n", family.name, family.help, family.name, family.type);
    for (const auto* pipeline : pipelines) pipeline->Render(family.name, &text);
  }
  return text;
}

}  // namespace sluice::pipeline

#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "pipeline/connector.h"
#include "pipeline/environment.h"
#include "pipeline/metrics.h"
#include "pipeline/record.h"
#include "pipeline/registry.h"
#include "pipeline/testing/scripted.h"

// Connectors under test without a pipeline around them.
namespace sluice::pipeline::testing {

// An environment, a registry, and connectors made from YAML as a configuration has them. Thread-safe where an
// Environment is.
class Bed final : public Environment {
 public:
  explicit Bed(void (*add)(Registry&)) { add(registry_); }

  Result<std::unique_ptr<Ingestor>> MakeIngestor(std::string_view yaml);
  Result<std::unique_ptr<Processor>> MakeProcessor(std::string_view yaml);
  Result<std::unique_ptr<IngestionWriter>> MakeWriter(std::string_view yaml);

  const Clock& clock() const override { return clock_; }
  const Registry& registry() const override { return registry_; }
  const std::string& pipeline() const override { return name_; }
  std::string Resolve(const std::string& path) const override;
  Result<std::string> StateFolder() override;
  std::string Clean(std::string text) const override { return text; }
  void Note(const std::string& line) override;
  StageCounters& Counters(const std::string& stage, const std::string& connector) override {
    return metrics_.Stage(stage, connector);
  }

  std::vector<std::string> notes() const;
  void set_folder(std::string folder) { folder_ = std::move(folder); }

 private:
  Result<Settings> Read(std::string_view yaml, ConnectorKind kind);

  Registry registry_;
  SystemClock clock_;
  std::string name_ = "test";
  std::string folder_ = ".";
  PipelineMetrics metrics_{"test"};
  mutable Mutex mutex_;
  std::vector<std::string> notes_ GUARDED_BY(mutex_);
};

// Each record as JSON without its empty fields.
std::vector<std::string> Shown(const Batch& batch);
// The texts of a column, null as empty.
std::vector<std::string> ColumnOf(const Batch& batch, Column column);

// Takes what is offered; the test settles it. Thread-safe.
class FakeIntake final : public Intake {
 public:
  Status Offer(Delivery delivery, std::chrono::milliseconds patience) override;

  // What every further Offer answers; OK takes it.
  void Answer(Status status);
  // Settles each delivery at once, all rows alike.
  void SettleAll(Outcome outcome);
  // Waits up to ten seconds for the next delivery that was not settled; fails the test without one.
  Delivery Next();
  size_t offers() const;

 private:
  mutable Mutex mutex_;
  CondVar changed_;
  std::vector<Delivery> waiting_ GUARDED_BY(mutex_);
  Status answer_ GUARDED_BY(mutex_);
  bool settles_ GUARDED_BY(mutex_) = false;
  Outcome outcome_ GUARDED_BY(mutex_);
  size_t offers_ GUARDED_BY(mutex_) = 0;
};

}  // namespace sluice::pipeline::testing

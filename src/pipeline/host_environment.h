#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "pipeline/config.h"
#include "pipeline/environment.h"
#include "pipeline/metrics.h"

namespace sluice::pipeline {

// The environment of one running pipeline. What is given must outlive it.
class HostEnvironment final : public Environment {
 public:
  HostEnvironment(const Clock& clock, const Registry& registry, const PipelineConfig& config,
                  std::function<void(const std::string&)> note, PipelineMetrics& metrics,
                  std::stop_token stop = {});

  const Clock& clock() const override { return clock_; }
  const Registry& registry() const override { return registry_; }
  const std::string& pipeline() const override { return name_; }
  std::string Resolve(const std::string& path) const override;
  Result<std::string> StateFolder() override;
  std::string Clean(std::string text) const override;
  void Note(const std::string& line) override;
  StageCounters& Counters(const std::string& stage, const std::string& connector) override {
    return metrics_.Stage(stage, connector);
  }
  std::stop_token stop() const override { return stop_; }

 private:
  const Clock& clock_;
  const Registry& registry_;
  const std::string name_;
  const std::string folder_;  // of the file
  const std::string state_;
  const std::vector<std::string> secrets_;
  const std::function<void(const std::string&)> note_;
  PipelineMetrics& metrics_;
  const std::stop_token stop_;
};

}  // namespace sluice::pipeline

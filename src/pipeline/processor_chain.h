#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/condition.h"
#include "pipeline/config.h"
#include "pipeline/connector.h"
#include "pipeline/metrics.h"

namespace sluice::pipeline {

// The processors of a pipeline, one behind the other. Confined.
class ProcessorChain {
 public:
  // Errors: those of the processors' makers.
  static Result<std::unique_ptr<ProcessorChain>> Make(const std::vector<PipelineConfig::Step>& steps,
                                                      const Registry& registry, Environment& environment,
                                                      PipelineMetrics* metrics);
  Status Open();
  bool is_empty() const { return steps_.empty(); }

  struct Refused {
    int64_t input_row = 0;
    std::string reason;
  };
  // Errors: those of a processor, naming it; nothing is known of any row then.
  Result<Batch> Run(const Batch& input, std::vector<Refused>* refused, std::stop_token stop);

 private:
  struct Step {
    std::string name;
    std::optional<Condition> when;
    std::unique_ptr<Processor> processor;
    StageCounters* counters = nullptr;
  };
  // Of the rows that the step's condition means; the others go along.
  Result<Batch> RunStep(Step& step, Batch given, std::vector<Processor::Reject>* rejects,
                        const std::stop_token& stop);

  std::vector<Step> steps_;
  std::vector<uint8_t> holds_;
};

}  // namespace sluice::pipeline

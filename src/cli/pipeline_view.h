#pragma once

#include <chrono>
#include <map>
#include <string>

#include "cli/session.h"

namespace sluice::pipeline {
class PipelineHost;
class PipelineMetrics;
}  // namespace sluice::pipeline

namespace sluice::cli {

// What running pipelines do, as a table that stays in place on a terminal; nothing elsewhere, but for one
// line a pipeline at the end. Confined.
class PipelineView {
 public:
  explicit PipelineView(Session& session);

  void Show(pipeline::PipelineHost& host);
  // The sums, once they have stopped.
  void Finish(pipeline::PipelineHost& host);

 private:
  std::string Lines(const pipeline::PipelineMetrics& metrics, double seconds);

  Session& session_;
  const bool is_live_;
  int shown_lines_ = 0;
  std::chrono::steady_clock::time_point last_;
  std::map<std::string, uint64_t> before_;  // records by pipeline and stage
};

}  // namespace sluice::cli

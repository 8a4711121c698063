#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/runner.h"

namespace sluice::pipeline {

// Several pipelines of one program, each from its file, which is read again when it changed or when asked.
// Confined to its owner's thread, but for what is marked.
class PipelineHost {
 public:
  using Load = std::function<Result<PipelineConfig>(const std::string& path)>;

  virtual ~PipelineHost() = default;
  // `load` reads a file with the templates of the program. What `host` refers to outlives it.
  static std::unique_ptr<PipelineHost> Make(const RunnerHost& host, Load load);

  // Starts the pipelines of the files, or none of them. `is_beside_others`: one whose servers do not answer
  // is no error, and waits for StartMissing; `health` says why. Errors: of LoadConfig and Runner::Start;
  // kInvalidArgument when two have one name.
  virtual Status Start(const std::vector<std::string>& files, bool is_beside_others = false) = 0;
  // Tries again, from time to time, to start those that could not be started for now. Blocks.
  virtual void StartMissing() = 0;
  // Looks for files that changed (`is_forced`: all): checks the new text, drains the old pipeline, starts the
  // new one. A text with errors changes nothing; a pipeline that does not start goes on as it was. Blocks.
  virtual void Reload(bool is_forced) = 0;
  virtual bool is_finished() const = 0;
  // The first that cannot go on. OK while all can.
  virtual Status fatal() const = 0;
  // Stops those that cannot go on, and leaves the others alone: `health` says why until a reload starts them
  // again. Blocks.
  virtual void StopBroken() = 0;
  virtual Status Stop() = 0;

  // Prometheus text. Thread-safe.
  virtual std::string Metrics() = 0;
  struct Health {
    std::string pipeline;
    std::vector<Ailment> ailments;
  };
  // Thread-safe.
  virtual std::vector<Health> health() const = 0;
  // What each pipeline has done since Start, however often it was reloaded: see Balance. Once it is stopped,
  // taken + found = written + dropped + duplicates + rejected + failed + waiting. Thread-safe.
  struct Total {
    std::string pipeline;
    uint64_t taken = 0, found = 0;
    uint64_t written = 0, dropped = 0, duplicates = 0, rejected = 0, failed = 0, waiting = 0;
  };
  virtual std::vector<Total> totals() const = 0;
  // Calls `visit` for each pipeline's counters of now. Thread-safe; counters are valid during the call.
  virtual void Visit(const std::function<void(const PipelineMetrics&)>& visit) = 0;
};

}  // namespace sluice::pipeline

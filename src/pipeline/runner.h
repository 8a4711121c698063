#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "pipeline/config.h"
#include "pipeline/metrics.h"

namespace sluice::pipeline {

struct ReplayPass;  // pipeline/replay.h

// What a runner needs of the program around it; outlives it.
struct RunnerHost {
  const Clock& clock;
  const Registry& registry;
  std::function<void(const std::string&)> note;  // a line for the operator; thread-safe
  // The program is to end: what is still starting does not wait for anybody. Stop ends what runs.
  std::stop_token stop = {};
};

// Why a pipeline is not well, stage by stage; empty when it is.
struct Ailment {
  std::string stage;
  std::string reason;
};

// One pipeline at work (pipelines.md 5): ingestors -> bounded queue -> [spool] -> processors -> writer, and
// outcomes back to the ingestors. Thread-safe but for Stop, which is its owner's.
//
//   Offer -> queue, flows in turns -> [spool: acknowledged here] -> dispatcher: batches, processors
//         -> writer threads: retries, dead letters -> receipts -> ingestor's `done`, positions
class Runner {
 public:
  virtual ~Runner() = default;

  // Makes and opens everything, starts the ingestors. Errors: of connectors, naming them; kUnavailable when
  // another process runs the pipeline with the same spool or positions; kCancelled after `host.stop`.
  static Result<std::unique_ptr<Runner>> Start(PipelineConfig config, const RunnerHost& host);
  // The same with dead letters in place of what the ingestors would bring; without the spool, which the
  // pipeline may have while it runs.
  static Result<std::unique_ptr<Runner>> StartReplay(PipelineConfig config, const RunnerHost& host,
                                                     const ReplayPass& pass);
  // Makes everything and opens nothing: what `pipeline check` does.
  static Status Check(const PipelineConfig& config, const RunnerHost& host);
  // Whether the pipeline has what the dead letters are meant for.
  static Status CheckReplay(PipelineConfig config, const RunnerHost& host, const ReplayPass& pass);

  virtual const PipelineConfig& config() const = 0;
  // All inputs have ended and every record has its outcome.
  virtual bool is_finished() const = 0;
  virtual std::vector<Ailment> ailments() const = 0;
  // It cannot go on, and why: the owner stops it. OK while it can.
  virtual Status fatal() const = 0;
  // After Stop: acknowledged records wait in the spool.
  virtual bool has_spooled() const = 0;
  // Values as of now.
  virtual const PipelineMetrics& metrics() = 0;
  // Takes nothing new, finishes what was taken within the configured time, acknowledges, closes. What is not
  // done by then is not acknowledged, or stays in the spool. May be repeated.
  virtual Status Stop() = 0;
};

}  // namespace sluice::pipeline

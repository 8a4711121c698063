#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace sluice::pipeline {

class Registry;
struct StageCounters;

// What connectors share with the program that runs them. Thread-safe.
class Environment {
 public:
  virtual ~Environment() = default;
  virtual const Clock& clock() const = 0;
  virtual const Registry& registry() const = 0;  // for writers that hold writers
  virtual const std::string& pipeline() const = 0;
  // Relative paths of a configuration are meant from its file's folder.
  virtual std::string Resolve(const std::string& path) const = 0;
  // A folder of this pipeline for what must outlive the process; made when missing.
  virtual Result<std::string> StateFolder() = 0;
  // `text` without the secrets of the configuration: for whatever somebody else will read.
  virtual std::string Clean(std::string text) const = 0;
  // One line for the operator, cleaned.
  virtual void Note(const std::string& line) = 0;
  // Counters that `/metrics` shows; they live as long as the pipeline. The same for the same name.
  virtual StageCounters& Counters(const std::string& stage, const std::string& connector) = 0;
  // Asks to end whatever runs, at once: the program stops while the pipeline starts, or the time for stopping
  // has passed.
  virtual std::stop_token stop() const { return {}; }
};

}  // namespace sluice::pipeline

#pragma once

#include <memory>
#include <string>

#include "poll/pull.h"

namespace sluice::cli {

// A line on the terminal for each dataset that is being pulled: stage, bytes, rows, rate; redrawn in place.
// Draws nothing for the first half second. Thread-safe.
class PullLines {
 public:
  explicit PullLines(bool enabled);
  ~PullLines();

  // The progress of one dataset; lives as long as this object.
  poll::PullProgress* For(const std::string& name);
  void End(const std::string& name);
  // Takes the lines away, so that something else can be printed.
  void Clear();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::cli

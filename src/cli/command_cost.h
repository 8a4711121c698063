#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace sluice::cli {

// What this process has cost so far. What the kernel does not tell is zero.
struct CommandCost {
  double wall_seconds = 0;
  double user_seconds = 0;
  double system_seconds = 0;
  uint64_t peak_memory_bytes = 0;  // resident, shared libraries and mapped files included
  uint64_t read_bytes = 0;         // by system calls, from the page cache too; mapped files are not in it
  uint64_t written_bytes = 0;
};
CommandCost MeasureCost(std::chrono::steady_clock::time_point start);

// One line for people: `1.23 s, CPU 0.98 s, memory 120 MiB, read 565.3 MiB, written 210.0 MiB`.
std::string DescribeCost(const CommandCost& cost);
// The same in the text format of Prometheus.
std::string CostMetrics(const CommandCost& cost, const std::string& command, int exit_code);

}  // namespace sluice::cli

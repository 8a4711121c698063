#include "cli/command_cost.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <fstream>
#include <iterator>

namespace sluice::cli {
namespace {

constexpr double kMib = 1 << 20;

double SecondsOf(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

CommandCost MeasureCost(std::chrono::steady_clock::time_point start) {
  CommandCost cost;
  cost.wall_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    cost.user_seconds = SecondsOf(usage.ru_utime);
    cost.system_seconds = SecondsOf(usage.ru_stime);
    cost.peak_memory_bytes = static_cast<uint64_t>(usage.ru_maxrss) * 1024;
  }
  std::ifstream io("/proc/self/io");
  std::string name;
  for (uint64_t value; io >> name >> value;) {
    if (name == "rchar:") cost.read_bytes = value;
    if (name == "wchar:") cost.written_bytes = value;
  }
  return cost;
}

std::string DescribeCost(const CommandCost& cost) {
  return fmt::format(
      "{:.2f} s, CPU {:.2f} s, memory {:.0f} MiB, read {:.1f} MiB, written {:.1f} MiB", cost.wall_seconds,
      cost.user_seconds + cost.system_seconds, static_cast<double>(cost.peak_memory_bytes) / kMib,
      static_cast<double>(cost.read_bytes) / kMib, static_cast<double>(cost.written_bytes) / kMib);
}

std::string CostMetrics(const CommandCost& cost, const std::string& command, int exit_code) {
  std::string text;
  const auto add = [&](const char* name, const char* help, const std::string& labels,
                       const std::string& value) {
    if (text.find(std::string("# TYPE ") + name + " ") == std::string::npos)
      text += fmt::format("# HELP {} {}\n# TYPE {} gauge\n", name, help, name);
    text += fmt::format("{}{{command=\"{}\"{}}} {}\n", name, command, labels, value);
  };
  const auto seconds = [](double value) { return fmt::format("{:.6f}", value); };
  add("sluice_command_exit_code", "Exit code", "", std::to_string(exit_code));
  add("sluice_command_seconds", "Time from start to end", "", seconds(cost.wall_seconds));
  add("sluice_command_cpu_seconds", "Processor time", ",mode=\"user\"", seconds(cost.user_seconds));
  add("sluice_command_cpu_seconds", "", ",mode=\"system\"", seconds(cost.system_seconds));
  add("sluice_command_peak_memory_bytes", "Most memory resident at a time", "",
      std::to_string(cost.peak_memory_bytes));
  add("sluice_command_read_bytes", "Bytes read by system calls", "", std::to_string(cost.read_bytes));
  add("sluice_command_written_bytes", "Bytes written by system calls", "",
      std::to_string(cost.written_bytes));
  return text;
}

}  // namespace sluice::cli

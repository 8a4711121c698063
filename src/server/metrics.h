#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace sluice::server {

// Counts of what the node answers, in Prometheus' text form. Thread-safe.
class Metrics {
 public:
  void OnRequest(const std::string& route, const std::string& method, int status, uint64_t bytes_in,
                 std::chrono::steady_clock::duration took);
  // What was counted, without the values that others give.
  std::string Render() const;

 private:
  static constexpr double kBounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                       0.25,  0.5,    1,     2.5,  5,     10};
  static constexpr size_t kBoundCount = sizeof kBounds / sizeof kBounds[0];
  struct Route {
    std::map<std::pair<std::string, int>, uint64_t> answers;  // by method and status
    uint64_t buckets[kBoundCount] = {};
    uint64_t count = 0, bytes_in = 0;
    double seconds = 0;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Route> routes_;  // under mutex_
};

// A label's value, escaped.
std::string LabelValue(const std::string& text);

}  // namespace sluice::server

#include "server/compactor.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace sluice::server {
namespace {

using std::chrono::steady_clock;

class CompactorThread final : public Compactor {
 public:
  CompactorThread(workspace::Workspace& workspace, gateway::Gateway& gateway,
                  std::vector<CompactionRule> rules,
                  std::function<void(const std::string&, const Status&)> report)
      : workspace_(workspace), gateway_(gateway), report_(std::move(report)) {
    for (auto& rule : rules) {
      const auto due = steady_clock::now() + rule.every;
      rules_.push_back({std::move(rule), due});
    }
    if (!rules_.empty()) thread_ = std::jthread([this](std::stop_token stop) { Work(stop); });
  }

 private:
  struct Timed {
    CompactionRule rule;
    steady_clock::time_point due;
  };

  void Work(const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "compactor");
    std::mutex mutex;
    std::condition_variable_any wake;
    while (true) {
      auto next = std::min_element(rules_.begin(), rules_.end(),
                                   [](const auto& a, const auto& b) { return a.due < b.due; });
      {
        std::unique_lock lock(mutex);
        wake.wait_until(lock, stop, next->due, [] { return false; });
      }
      if (stop.stop_requested()) return;
      Compact(next->rule, stop);
      next->due = steady_clock::now() + next->rule.every;
    }
  }

  void Compact(const CompactionRule& rule, const std::stop_token& stop) {
    auto entries = workspace_.ResolvePattern(rule.datasets);
    if (!entries.ok()) return report_(rule.datasets, Status(entries.error()));
    workspace::CompactOptions options;
    options.max_slice_records = rule.max_slice_records;
    options.max_slice_bytes = rule.max_slice_bytes;
    options.stop = stop;
    for (const auto& entry : *entries) {
      if (stop.stop_requested()) return;
      const auto outcome = gateway_.Compact(entry, options);
      if (!outcome.ok()) {
        report_(entry.alias, Status(outcome.error()));
      } else if (outcome->changed) {
        report_(entry.alias, OkStatus());
      }
    }
  }

  workspace::Workspace& workspace_;
  gateway::Gateway& gateway_;
  std::function<void(const std::string&, const Status&)> report_;
  std::vector<Timed> rules_;
  std::jthread thread_;
};

}  // namespace

std::unique_ptr<Compactor> Compactor::Start(
    workspace::Workspace& workspace, gateway::Gateway& gateway, std::vector<CompactionRule> rules,
    std::function<void(const std::string& dataset, const Status& outcome)> report) {
  return std::make_unique<CompactorThread>(workspace, gateway, std::move(rules), std::move(report));
}

}  // namespace sluice::server

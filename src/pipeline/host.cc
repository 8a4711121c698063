#include "pipeline/host.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>
#include <thread>

namespace sluice::pipeline {
namespace {

constexpr std::chrono::seconds kTryEvery{5};

// What tells a changed file: its time, size and number.
std::string StampOf(const std::string& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) return "missing";
  return fmt::format("{}.{}:{}:{}", info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_size, info.st_ino);
}

void AddTo(PipelineHost::Total* total, const PipelineMetrics& metrics) {
  const Balance& balance = metrics.balance;
  total->taken += balance.taken;
  // What it found in the spool is first of all what its predecessor has left there.
  const uint64_t found = balance.found;
  const uint64_t left = std::min(total->waiting, found);
  total->waiting -= left;
  total->found += found - left;
  total->written += balance.accepted - balance.dropped;
  total->dropped += balance.dropped;
  total->duplicates += balance.duplicates;
  total->rejected += balance.rejected;
  total->failed += balance.failed;
  total->waiting += balance.Waiting();
}

class HostImpl final : public PipelineHost {
 public:
  HostImpl(const RunnerHost& host, Load load) : host_(host), load_(std::move(load)) {}
  ~HostImpl() override { static_cast<void>(Stop()); }

  Status Start(const std::vector<std::string>& files, bool is_beside_others) override {
    std::vector<Hosted> started;
    std::vector<PipelineConfig> configs;
    for (const auto& file : files) {
      const std::string stamp = StampOf(file);
      ASSIGN_OR_RETURN(auto config, load_(file));
      for (const auto& other : configs) {
        if (other.name == config.name)
          return InvalidArgument("'{}' and '{}' are both pipeline '{}'", other.file, file, config.name);
      }
      started.push_back({file, stamp, config, nullptr});
      started.back().why_gone = "it is starting";
      configs.push_back(std::move(config));
    }
    {
      std::lock_guard lock(mutex_);
      hosted_ = std::move(started);
    }
    for (auto& one : hosted_) {
      const Status status = StartOne(&one);
      if (status.ok()) continue;
      if (is_beside_others && one.next_try) {
        host_.note(fmt::format("{}: not started, trying on: {}", one.config.name, status.error().ToString()));
        continue;
      }
      std::vector<Hosted> all;
      std::lock_guard lock(mutex_);
      all.swap(hosted_);
      return status;
    }
    return {};
  }

  void StartMissing() override {
    for (auto& one : hosted_) {
      if (!one.runner && one.next_try && std::chrono::steady_clock::now() >= *one.next_try)
        static_cast<void>(StartOne(&one));
    }
  }

  void Reload(bool is_forced) override {
    for (auto& one : hosted_) {
      const std::string stamp = StampOf(one.file);
      // A file that is missing for a moment is being replaced.
      if ((stamp == one.stamp && !is_forced) || stamp == "missing") continue;
      one.stamp = stamp;
      auto config = load_(one.file);
      Status status = config.ok() ? CheckName(one, *config) : Status(config.error());
      if (status.ok()) status = Runner::Check(*config, host_);
      if (!status.ok()) {
        host_.note(fmt::format("{}: not reloaded, it goes on as it was: {}", one.config.name,
                               status.error().ToString()));
        continue;
      }
      Replace(&one, *std::move(config));
    }
  }

  bool is_finished() const override {
    for (const auto& one : hosted_) {
      if (one.runner && !one.runner->is_finished()) return false;
    }
    return true;
  }

  Status fatal() const override {
    for (const auto& one : hosted_) {
      if (!one.runner)
        return MakeError(ErrorCode::kUnavailable, "pipeline '{}' could not be started again: {}",
                         one.config.name, one.why_gone);
      if (auto status = one.runner->fatal(); !status.ok())
        return std::move(status).error().With(fmt::format("pipeline '{}'", one.config.name));
    }
    return {};
  }

  void StopBroken() override {
    for (auto& one : hosted_) {
      if (!one.runner || one.is_stopped) continue;
      const Status fatal = one.runner->fatal();
      if (fatal.ok()) continue;
      one.is_stopped = true;
      static_cast<void>(one.runner->Stop());
      host_.note(fmt::format("{}: stopped, a reload starts it again: {}", one.config.name,
                             fatal.error().ToString()));
    }
  }

  Status Stop() override {
    Status first;
    // At the same time: each has its own time to drain.
    std::vector<std::pair<Status, std::jthread>> stopping(hosted_.size());
    for (size_t i = 0; i < hosted_.size(); ++i) {
      stopping[i].second = std::jthread([this, i, &stopping] {
        if (hosted_[i].runner) stopping[i].first = hosted_[i].runner->Stop();
      });
    }
    for (auto& one : stopping) one.second.join();
    for (auto& one : stopping) {
      if (first.ok() && !one.first.ok()) first = std::move(one.first);
    }
    return first;
  }

  std::string Metrics() override {
    std::lock_guard lock(mutex_);
    std::vector<const PipelineMetrics*> all;
    for (auto& one : hosted_) {
      if (one.runner) all.push_back(&one.runner->metrics());
    }
    return RenderMetrics(all);
  }
  std::vector<Health> health() const override {
    std::lock_guard lock(mutex_);
    std::vector<Health> all;
    for (const auto& one : hosted_) {
      all.push_back({one.config.name,
                     one.runner ? one.runner->ailments() : std::vector<Ailment>{{"pipeline", one.why_gone}}});
    }
    return all;
  }
  std::vector<Total> totals() const override {
    std::lock_guard lock(mutex_);
    std::vector<Total> all;
    for (const auto& one : hosted_) {
      all.push_back(one.before);
      all.back().pipeline = one.config.name;
      if (one.runner) AddTo(&all.back(), one.runner->metrics());
    }
    return all;
  }
  void Visit(const std::function<void(const PipelineMetrics&)>& visit) override {
    std::lock_guard lock(mutex_);
    for (auto& one : hosted_) {
      if (one.runner) visit(one.runner->metrics());
    }
  }

 private:
  struct Hosted {
    std::string file;
    std::string stamp;
    PipelineConfig config;
    std::unique_ptr<Runner> runner;
    Total before = {};          // of the runners that were replaced
    bool is_stopped = false;    // it cannot go on
    std::string why_gone = {};  // while there is no runner
    // Of one that is gone as somebody did not answer.
    std::optional<std::chrono::steady_clock::time_point> next_try = {};
  };

  Status StartOne(Hosted* one) {
    auto runner = Runner::Start(one->config, host_);
    std::lock_guard lock(mutex_);
    if (!runner.ok()) {
      Miss(one, runner.error());
      return std::move(runner).error();
    }
    one->runner = *std::move(runner);
    one->is_stopped = false;
    host_.note(fmt::format("{}: running", one->config.name));
    return {};
  }

  // Under the mutex.
  static void Miss(Hosted* one, const Error& error) {
    one->why_gone = error.ToString();
    one->next_try.reset();
    if (IsRetryable(error.code())) one->next_try = std::chrono::steady_clock::now() + kTryEvery;
  }

  Status CheckName(const Hosted& one, const PipelineConfig& config) const {
    for (const auto& other : hosted_) {
      if (&other != &one && other.config.name == config.name)
        return InvalidArgument("'{}' is already the name of '{}'", config.name, other.file);
    }
    return {};
  }

  void Replace(Hosted* one, PipelineConfig config) {
    std::unique_ptr<Runner> old;
    {
      std::lock_guard lock(mutex_);
      old = std::move(one->runner);
      one->why_gone = "it is being reloaded";
    }
    Status ready;
    if (old) {
      if (const Status status = old->Stop(); !status.ok())
        host_.note(fmt::format("{}: while stopping: {}", one->config.name, status.error().ToString()));
      const auto path_of = [](const PipelineConfig& of) { return of.spool ? of.spool->path : std::string(); };
      if (old->has_spooled() && path_of(config) != path_of(one->config))
        ready =
            MakeError(ErrorCode::kPrecondition,
                      "acknowledged records wait in the spool '{}', which the new text leaves: save it again "
                      "when they have gone",
                      path_of(one->config));
      std::lock_guard lock(mutex_);
      AddTo(&one->before, old->metrics());
      old.reset();
    }
    auto fresh =
        ready.ok() ? Runner::Start(config, host_) : Result<std::unique_ptr<Runner>>(std::move(ready).error());
    if (host_.stop.stop_requested() && !fresh.ok()) {
      std::lock_guard lock(mutex_);
      one->why_gone = "the program stops";
      return;
    }
    if (!fresh.ok()) {
      host_.note(fmt::format("{}: not reloaded: {}", one->config.name, fresh.error().ToString()));
      fresh = Runner::Start(one->config, host_);
      if (!fresh.ok()) {
        host_.note(fmt::format("{}: does not start again: {}", one->config.name, fresh.error().ToString()));
        std::lock_guard lock(mutex_);
        Miss(one, fresh.error());
        return;
      }
      host_.note(fmt::format("{}: goes on as it was", one->config.name));
    } else {
      host_.note(fmt::format("{}: reloaded", config.name));
    }
    std::lock_guard lock(mutex_);
    one->config = (*fresh)->config();
    one->runner = *std::move(fresh);
    one->is_stopped = false;
  }

  const RunnerHost host_;
  const Load load_;
  mutable std::mutex mutex_;  // of the list as others see it
  std::vector<Hosted> hosted_;
};

}  // namespace

std::unique_ptr<PipelineHost> PipelineHost::Make(const RunnerHost& host, Load load) {
  return std::make_unique<HostImpl>(host, std::move(load));
}

}  // namespace sluice::pipeline

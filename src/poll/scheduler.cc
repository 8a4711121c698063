#include "poll/scheduler.h"

#include <algorithm>
#include <set>
#include <thread>

#include "base/mutex.h"
#include "base/random.h"

namespace sluice::poll {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongestSleep{1000};  // the clock may be set meanwhile
constexpr int64_t kReplanSeconds = 60;

double Random() { return static_cast<unsigned char>(RandomBytes(1)[0]) / 256.0; }

}  // namespace

struct Scheduler::Impl {
  explicit Impl(SchedulerOptions o) : options(std::move(o)) {}

  const SchedulerOptions options;
  mutable Mutex mutex;
  CondVar changed;
  Schedule schedule GUARDED_BY(mutex){&Random};
  std::set<std::string> asked_for GUARDED_BY(mutex);
  std::map<std::string, workspace::ScheduleEntry> planned GUARDED_BY(mutex);
  Instant planned_at GUARDED_BY(mutex);
  bool stopping GUARDED_BY(mutex) = false;
  std::vector<std::jthread> threads;

  void Trouble(const Error& error) const {
    if (options.on_trouble) options.on_trouble(error);
  }

  static bool Same(const workspace::ScheduleEntry& a, const workspace::ScheduleEntry& b) {
    return a.cron == b.cron && a.every == b.every && a.jitter == b.jitter && a.catch_up == b.catch_up &&
           a.retries == b.retries && a.first_backoff == b.first_backoff &&
           a.longest_backoff == b.longest_backoff;
  }

  Status Plan(bool first) REQUIRES(mutex) {
    const Instant now = options.clock->Now();
    planned_at = now;
    ASSIGN_OR_RETURN(const auto wanted, options.scheduled());
    std::map<std::string, RunState> known;
    if (first) known = LoadRunStates(options.workspace_root);
    std::set<std::string> names;
    for (const auto& [alias, entry] : wanted) {
      names.insert(alias);
      const auto it = planned.find(alias);
      if (it != planned.end() && Same(it->second, entry)) continue;
      const auto states = schedule.states();
      const auto state = states.find(alias);
      RETURN_IF_ERROR(schedule.Add(alias, entry, state != states.end() ? state->second : known[alias], now));
      planned[alias] = entry;
    }
    for (auto it = planned.begin(); it != planned.end();) {
      if (names.contains(it->first)) {
        ++it;
        continue;
      }
      schedule.Remove(it->first);
      it = planned.erase(it);
    }
    Remember();  // a full disk is no reason not to begin
    return {};
  }

  // The next dataset to run; empty when there is none yet.
  std::string Next() REQUIRES(mutex) {
    const Instant now = options.clock->Now();
    if (now.seconds - planned_at.seconds >= kReplanSeconds) {
      if (auto status = Plan(false); !status.ok()) Trouble(status.error());
    }
    for (auto it = asked_for.begin(); it != asked_for.end(); ++it) {
      if (schedule.IsRunning(*it)) continue;
      std::string alias = *it;
      asked_for.erase(it);
      return alias;
    }
    const auto due = schedule.Due(now);
    return due.empty() ? "" : due.front();
  }

  milliseconds Pause() const REQUIRES(mutex) {
    const auto next = schedule.NextTime();
    if (!next) return kLongestSleep;
    const int64_t wait = next->ToMillis() - options.clock->Now().ToMillis();
    return std::clamp(milliseconds(wait), milliseconds(1), kLongestSleep);
  }

  void Work() {
    while (true) {
      std::string alias;
      {
        MutexLock lock(mutex);
        while (!stopping && (alias = Next()).empty())
          changed.WaitFor(mutex, Pause(), [this]() NO_THREAD_SAFETY_ANALYSIS { return stopping; });
        if (stopping) return;
        schedule.Started(alias, options.clock->Now());
        Remember();
      }
      const auto outcome = options.run(alias);
      MutexLock lock(mutex);
      schedule.Ended(alias, options.clock->Now(),
                     outcome.ok() ? std::nullopt : std::optional(outcome.error().ToString()));
      Remember();
      changed.NotifyAll();
    }
  }

  void Remember() REQUIRES(mutex) {
    if (auto status = SaveRunStates(options.workspace_root, schedule.states()); !status.ok())
      Trouble(status.error());
  }
};

Scheduler::Scheduler(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Scheduler>> Scheduler::Start(SchedulerOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  {
    MutexLock lock(impl->mutex);
    RETURN_IF_ERROR(impl->Plan(true));
  }
  for (int i = 0; i < std::max(1, impl->options.jobs); ++i)
    impl->threads.emplace_back([self = impl.get()] { self->Work(); });
  return std::unique_ptr<Scheduler>(new Scheduler(std::move(impl)));
}

Scheduler::~Scheduler() {
  {
    MutexLock lock(impl_->mutex);
    impl_->stopping = true;
    impl_->changed.NotifyAll();
  }
  impl_->threads.clear();
}

bool Scheduler::RunNow(const std::string& alias) {
  MutexLock lock(impl_->mutex);
  if (!impl_->schedule.states().contains(alias)) return false;
  impl_->asked_for.insert(alias);
  impl_->changed.NotifyAll();
  return true;
}

std::map<std::string, RunState> Scheduler::states() const {
  MutexLock lock(impl_->mutex);
  return impl_->schedule.states();
}

}  // namespace sluice::poll

#include "gateway/committers.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace sluice::gateway {
namespace {

using std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr size_t kMostIdleTenants = 1000;
// However little a commit takes, it counts: what it costs others is not only this thread's time.
constexpr Seconds kLeast{0.0001};
// A tenant that came so recently is expected to come again.
constexpr auto kComes = std::chrono::seconds(10);

class Threads final : public Committers {
 public:
  explicit Threads(int count) {
    std::lock_guard lock(mutex_);  // they count each other
    for (int i = 0; i < count; ++i) threads_.emplace_back([this](std::stop_token stop) { Loop(stop); });
  }
  ~Threads() override {
    for (auto& thread : threads_) thread.request_stop();
    changed_.notify_all();
  }

  Ticket RunAt(Time due, const std::string& tenant, std::function<void()> work) override {
    std::lock_guard lock(mutex_);
    const Ticket ticket = next_ticket_++;
    Welcome(tenant);
    entries_.emplace(std::pair(due, ticket), Entry{{tenant}, std::move(work)});
    due_.emplace(ticket, due);
    ++version_;
    changed_.notify_one();
    return ticket;
  }

  void Join(Ticket ticket, const std::string& tenant) override {
    std::lock_guard lock(mutex_);
    const auto due = due_.find(ticket);
    if (due == due_.end()) return;
    Welcome(tenant);
    if (!entries_.at({due->second, ticket}).tenants.insert(tenant).second) return;
    ++version_;
    changed_.notify_one();
  }

 private:
  struct Entry {
    std::set<std::string> tenants;
    std::function<void()> work;
  };
  using Entries = std::map<std::pair<Time, Ticket>, Entry>;

  struct Tenant {
    Seconds used{0};  // of the threads' time, as far as it counts
    int running = 0;
    Time came{};  // with work, last
  };

  // Who had nothing to do for a while has not saved time up for later. Under mutex_.
  void Welcome(const std::string& name) {
    if (tenants_.size() > kMostIdleTenants) {
      std::erase_if(tenants_, [this](const auto& entry) {
        return entry.second.used <= floor_ && entry.second.running == 0;
      });
    }
    auto& tenant = tenants_[name];
    tenant.used = std::max(tenant.used, floor_);
    tenant.came = steady_clock::now();
  }

  // Under mutex_.
  Seconds UsedBy(const Entry& entry) const {
    Seconds least = Seconds::max();
    for (const auto& name : entry.tenants) {
      const auto it = tenants_.find(name);
      least = std::min(least, it == tenants_.end() ? floor_ : it->second.used);
    }
    return least;
  }

  // While others come too, one tenant leaves them a thread: what it runs may take long. Under mutex_.
  bool MayRun(const Entry& entry, Time now) const {
    const int most = static_cast<int>(threads_.size()) - 1;
    bool is_within = most < 1;
    for (const auto& name : entry.tenants) {
      const auto it = tenants_.find(name);
      is_within = is_within || it == tenants_.end() || it->second.running < most;
    }
    if (is_within) return true;
    return std::none_of(tenants_.begin(), tenants_.end(), [&](const auto& other) {
      return !entry.tenants.contains(other.first) && now - other.second.came < kComes;
    });
  }

  // What is to run now. Under mutex_.
  Entries::iterator Choose(Time now) {
    auto chosen = entries_.end();
    Seconds least{};
    for (auto it = entries_.begin(); it != entries_.end() && it->first.first <= now; ++it) {
      const Seconds used = UsedBy(it->second);
      if ((chosen != entries_.end() && used >= least) || !MayRun(it->second, now)) continue;
      chosen = it;
      least = used;
    }
    if (chosen != entries_.end()) floor_ = std::max(floor_, least);
    return chosen;
  }

  // Under mutex_.
  void Charge(const std::set<std::string>& names, Seconds took, int runs) {
    for (const auto& name : names) {
      auto& tenant = tenants_[name];
      tenant.running += runs;
      tenant.used =
          std::max(tenant.used, floor_) + std::max(took, kLeast) / static_cast<double>(names.size());
    }
  }

  void Loop(std::stop_token stop) {
    pthread_setname_np(pthread_self(), "committer");
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      const auto now = steady_clock::now();
      const auto chosen = Choose(now);
      if (chosen == entries_.end()) {
        const auto is_changed = [this, version = version_] { return version_ != version; };
        const auto next = entries_.upper_bound({now, UINT64_MAX});
        if (next == entries_.end()) {
          changed_.wait(lock, stop, is_changed);
        } else {
          const Time due = next->first.first;
          changed_.wait_until(lock, stop, due, is_changed);
        }
        continue;
      }
      Entry entry = std::move(chosen->second);
      due_.erase(chosen->first.second);
      entries_.erase(chosen);
      // Charged a little at once: another thread that chooses meanwhile takes somebody else's.
      Charge(entry.tenants, kLeast, 1);
      lock.unlock();
      const auto started = steady_clock::now();
      entry.work();
      entry.work = nullptr;
      const Seconds took = steady_clock::now() - started;
      lock.lock();
      Charge(entry.tenants, took, -1);
    }
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  Entries entries_;                        // under mutex_, by due time
  std::map<Ticket, Time> due_;             // under mutex_
  Ticket next_ticket_ = 1;                 // under mutex_
  uint64_t version_ = 0;                   // under mutex_: grows with what waits
  std::map<std::string, Tenant> tenants_;  // under mutex_
  Seconds floor_{0};                       // under mutex_: the time that whoever comes now starts with
  std::vector<std::jthread> threads_;
};

}  // namespace

std::unique_ptr<Committers> Committers::Start(int threads) { return std::make_unique<Threads>(threads); }

}  // namespace sluice::gateway

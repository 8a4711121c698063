#include "gateway/committers.h"

#include <pthread.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace sluice::gateway {
namespace {

class Threads final : public Committers {
 public:
  explicit Threads(int count) {
    for (int i = 0; i < count; ++i) threads_.emplace_back([this](std::stop_token stop) { Work(stop); });
  }
  ~Threads() override {
    for (auto& thread : threads_) thread.request_stop();
    changed_.notify_all();
  }

  void RunAt(Time due, std::function<void()> work) override {
    std::lock_guard lock(mutex_);
    due_.emplace(due, std::move(work));
    changed_.notify_one();
  }

 private:
  void Work(std::stop_token stop) {
    pthread_setname_np(pthread_self(), "committer");
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      if (due_.empty()) {
        changed_.wait(lock, stop, [this] { return !due_.empty(); });
        continue;
      }
      const Time first = due_.begin()->first;
      if (first > std::chrono::steady_clock::now()) {
        changed_.wait_until(lock, stop, first,
                            [this, first] { return !due_.empty() && due_.begin()->first < first; });
        continue;
      }
      auto work = std::move(due_.begin()->second);
      due_.erase(due_.begin());
      lock.unlock();
      work();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::multimap<Time, std::function<void()>> due_;  // under mutex_
  std::vector<std::jthread> threads_;
};

}  // namespace

std::unique_ptr<Committers> Committers::Start(int threads) { return std::make_unique<Threads>(threads); }

}  // namespace sluice::gateway

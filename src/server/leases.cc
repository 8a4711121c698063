#include "server/leases.h"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/random.h"
#include "server/names.h"

namespace sluice::server {
namespace {

constexpr auto kSettleTime = std::chrono::seconds(30);
// Long enough to take the locks; who holds them then is waited for without a limit.
constexpr auto kLeaseTime = std::chrono::seconds(5);
constexpr size_t kIdSize = 16;

class LeaseThread final : public Leases {
 public:
  LeaseThread(gateway::Gateway& gateway, Names& names)
      : gateway_(gateway), names_(names), thread_([this](std::stop_token stop) { Work(stop); }) {}

  void Grant(Request request) override {
    std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(request));
    changed_.notify_all();
  }

  void End(const std::string& lease, std::function<void()> done) override {
    {
      std::lock_guard lock(mutex_);
      if (!lease.empty() && present_ == lease) {
        present_.clear();
        ended_ = std::move(done);
        changed_.notify_all();
        return;
      }
    }
    done();
  }

 private:
  void Work(std::stop_token stop) {
    pthread_setname_np(pthread_self(), "leases");
    while (true) {
      Request request;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, stop, [this] { return !waiting_.empty(); });
        if (waiting_.empty()) return;
        request = std::move(waiting_.front());
        waiting_.pop_front();
      }
      bool told = false;
      names_.Suspend();
      const gateway::Exclusive how{request.drop_queue, kSettleTime, request.adds_to};
      const Status stepped = gateway_.StepAside(request.dataset, how, [&] {
        if (!request.is_wanted()) return;
        std::unique_lock lock(mutex_);
        const std::string lease = present_ = RandomName(kIdSize);
        lock.unlock();
        told = true;
        request.granted(lease);
        lock.lock();
        changed_.wait_for(lock, stop, kLeaseTime, [&] { return present_ != lease; });
        present_.clear();
      });
      names_.Resume();
      std::function<void()> ended;
      {
        std::lock_guard lock(mutex_);
        ended.swap(ended_);
      }
      if (ended) ended();
      if (!told) request.granted(stepped.ok() ? Error(ErrorCode::kInternal, "no lease") : stepped.error());
    }
  }

  gateway::Gateway& gateway_;
  Names& names_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Request> waiting_;  // under mutex_
  std::string present_;          // under mutex_; empty: none
  std::function<void()> ended_;  // under mutex_; of who ended it and waits until the node has looked again
  std::jthread thread_;
};

}  // namespace

std::unique_ptr<Leases> Leases::Start(gateway::Gateway& gateway, Names& names) {
  return std::make_unique<LeaseThread>(gateway, names);
}

}  // namespace sluice::server

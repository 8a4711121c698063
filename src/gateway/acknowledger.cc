#include "gateway/acknowledger.h"

#include <pthread.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace sluice::gateway {
namespace {

class Thread final : public Acknowledger {
 public:
  Thread() : thread_([this](std::stop_token stop) { Work(stop); }) {}

  void Await(std::shared_ptr<Journal> journal, const Place& place,
             std::function<void(Status)> done) override {
    std::lock_guard lock(mutex_);
    waiting_.push_back({std::move(journal), place, std::move(done)});
    changed_.notify_one();
  }

 private:
  struct Item {
    std::shared_ptr<Journal> journal;
    Place place;
    std::function<void(Status)> done;
  };

  void Work(std::stop_token stop) {
    pthread_setname_np(pthread_self(), "acknowledger");
    while (true) {
      std::vector<Item> items;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, stop, [this] { return !waiting_.empty(); });
        if (waiting_.empty()) return;
        items.swap(waiting_);
      }
      // The last of a journal makes those before it durable too.
      for (size_t end = items.size(); end > 0;) {
        size_t begin = end;
        size_t last = end - 1;
        while (begin > 0 && items[begin - 1].journal == items[end - 1].journal) {
          --begin;
          if (items[begin].place.sequence > items[last].place.sequence) last = begin;
        }
        const Status status = items[last].journal->WaitFor(items[last].place);
        for (size_t i = begin; i < end; ++i) items[i].done(status);
        end = begin;
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<Item> waiting_;  // under mutex_
  std::jthread thread_;
};

}  // namespace

std::unique_ptr<Acknowledger> Acknowledger::Start() { return std::make_unique<Thread>(); }

}  // namespace sluice::gateway

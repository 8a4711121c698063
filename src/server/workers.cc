#include "server/workers.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

namespace sluice::server {
namespace {

constexpr int kNice = 10;
constexpr auto kAskInterval = std::chrono::milliseconds(250);

}  // namespace

Workers::Workers(const std::string& name, int threads, int max_waiting)
    : max_waiting_(static_cast<size_t>(max_waiting)) {
  for (int i = 0; i < threads; ++i)
    threads_.emplace_back([this, name](const std::stop_token& stop) { Work(stop, name); });
}

Workers::~Workers() {
  for (auto& thread : threads_) thread.request_stop();
  threads_.clear();
}

bool Workers::Run(const std::string& account, std::function<void()> work) {
  std::lock_guard lock(mutex_);
  // Threads that are free take what waits at once.
  const size_t free = threads_.size() - std::min(threads_.size(), running_);
  if (waiting_count_ >= max_waiting_ + free) return false;
  const auto own = waiting_.find(account);
  if (own != waiting_.end() && own->second.size() >= max_waiting_ * 3 / 4 + free) return false;
  waiting_[account].push_back(std::move(work));
  ++waiting_count_;
  changed_.notify_one();
  return true;
}

size_t Workers::running() const {
  std::lock_guard lock(mutex_);
  return running_;
}

size_t Workers::waiting() const {
  std::lock_guard lock(mutex_);
  return waiting_count_;
}

void Workers::Work(const std::stop_token& stop, const std::string& name) {
  pthread_setname_np(pthread_self(), name.c_str());
  // On Linux a thread has a nice value of its own. Not being allowed to is no harm.
  (void)setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNice);
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, stop, [this] { return waiting_count_ > 0; });
    if (stop.stop_requested()) return;
    auto next = waiting_.upper_bound(served_);
    if (next == waiting_.end()) next = waiting_.begin();
    auto work = std::move(next->second.front());
    served_ = next->first;
    next->second.pop_front();
    if (next->second.empty()) waiting_.erase(next);
    --waiting_count_;
    ++running_;
    lock.unlock();
    work();
    work = nullptr;
    lock.lock();
    --running_;
  }
}

struct ClientWatch::Entry {
  std::function<bool()> is_gone;
  std::stop_source source;
};

class ClientWatch::Handle final : public ClientWatch::Watched {
 public:
  Handle(ClientWatch& watch, std::list<Entry>::iterator entry, const std::stop_token& other)
      : watch_(watch), entry_(entry), token_(entry->source.get_token()) {
    forward_.emplace(other, Forward{entry->source});
  }
  ~Handle() override {
    forward_.reset();
    std::lock_guard lock(watch_.mutex_);
    watch_.entries_.erase(entry_);
  }
  std::stop_token token() const override { return token_; }

 private:
  struct Forward {
    std::stop_source source;
    void operator()() { source.request_stop(); }
  };
  ClientWatch& watch_;
  const std::list<Entry>::iterator entry_;
  const std::stop_token token_;
  std::optional<std::stop_callback<Forward>> forward_;
};

ClientWatch::ClientWatch() : thread_([this](const std::stop_token& stop) { Work(stop); }) {}

ClientWatch::~ClientWatch() {
  thread_.request_stop();
  thread_.join();
}

std::unique_ptr<ClientWatch::Watched> ClientWatch::Watch(std::function<bool()> is_gone,
                                                         std::stop_token other) {
  std::list<Entry>::iterator entry;
  {
    std::lock_guard lock(mutex_);
    entry = entries_.insert(entries_.end(), Entry{std::move(is_gone), {}});
    changed_.notify_all();
  }
  return std::make_unique<Handle>(*this, entry, other);
}

void ClientWatch::Work(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "client-watch");
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    changed_.wait(lock, stop, [this] { return !entries_.empty(); });
    changed_.wait_for(lock, stop, kAskInterval, [] { return false; });
    for (auto& entry : entries_) {
      // Stopping runs callbacks of others, which take no lock of ours.
      if (!entry.source.stop_requested() && entry.is_gone()) entry.source.request_stop();
    }
  }
}

}  // namespace sluice::server

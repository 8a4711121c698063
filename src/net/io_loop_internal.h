#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "base/mutex.h"

namespace sluice::net {

using Executor = boost::asio::io_context::executor_type;
template <class T>
using Awaitable = boost::asio::awaitable<T, Executor>;
inline constexpr boost::asio::use_awaitable_t<Executor> kAwait;

// Something to be run once on another thread.
class Work {
 public:
  explicit Work(std::string tenant = "") : tenant_(std::move(tenant)) {}
  virtual ~Work() = default;
  virtual void Run() = 0;
  // Takes over what `other`, of the same tenant, would do. False: it does not.
  virtual bool Absorb(Work& other) { return false; }
  // Who takes turns with others in a pool.
  const std::string& tenant() const { return tenant_; }

 private:
  const std::string tenant_;
};

// Something that is told when its time has passed. Confined to the loop's thread.
class Deadlined {
 public:
  using Time = std::chrono::steady_clock::time_point;
  virtual ~Deadlined() = default;
  virtual void OnDeadline() = 0;
  Time deadline() const { return deadline_; }

 private:
  friend class IoLoop;
  Time deadline_ = Time::max();
};

class WorkerPool;

// One thread with the sockets that it waits for. Everything of a connection happens on its loop's thread, so
// that none of it needs a lock. Deadlines cost a comparison each: one timer serves all of them, and may be
// late by up to 20 ms. Post is thread-safe; the rest is for the loop's thread, unless it says otherwise.
class IoLoop {
 public:
  IoLoop();
  ~IoLoop();

  // Thread-safe, and allowed after Join: the work is then dropped. Works posted together are run in one go.
  void Post(std::shared_ptr<Work> work) EXCLUDES(mutex_);
  bool is_here() const { return thread_.get_id() == std::this_thread::get_id(); }
  boost::asio::io_context& context() { return context_; }
  // Gives work to a pool, together with what else is given until the loop has dealt with everything that is
  // ready: one wake-up for many requests. The pool must outlive the loop's thread.
  void PushSoon(WorkerPool& pool, std::shared_ptr<Work> work);

  void Add(Deadlined& item) { items_.insert(&item); }
  void Remove(Deadlined& item) { items_.erase(&item); }
  void SetDeadline(Deadlined& item, Deadlined::Time deadline);
  void ClearDeadline(Deadlined& item) { item.deadline_ = Deadlined::Time::max(); }
  template <class F>
  void ForEach(F call) {
    for (Deadlined* item : std::vector<Deadlined*>(items_.begin(), items_.end())) call(*item);
  }
  // Now as an HTTP date, made once a second.
  std::string_view HttpDate();

  void Start();
  // Takes no more work, waits for what is under way and ends the thread. Not from the loop's thread.
  void Join() EXCLUDES(mutex_);

 private:
  void RunPosted() EXCLUDES(mutex_);
  void Sweep();
  void ArmTimer();

  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<Executor> guard_;
  boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                    boost::asio::wait_traits<std::chrono::steady_clock>, Executor>
      timer_;
  std::unordered_set<Deadlined*> items_;
  Deadlined::Time next_sweep_ = Deadlined::Time::max();
  std::vector<std::shared_ptr<Work>> for_pool_;
  std::time_t date_second_ = 0;
  std::string date_;
  std::thread thread_;

  Mutex mutex_;
  std::vector<std::shared_ptr<Work>> posted_ GUARDED_BY(mutex_);
  bool is_closed_ GUARDED_BY(mutex_) = false;
};

// Threads that run work: that of a tenant in the order it came, tenants by turns. Thread-safe.
class WorkerPool {
 public:
  explicit WorkerPool(int threads);
  ~WorkerPool() { Join(); }

  // Dropped once joined.
  void Push(std::shared_ptr<Work> work) EXCLUDES(mutex_);
  void PushAll(std::vector<std::shared_ptr<Work>> works) EXCLUDES(mutex_);
  // Runs what was pushed, and ends.
  void Join() EXCLUDES(mutex_);

 private:
  void Loop() EXCLUDES(mutex_);
  void Add(std::shared_ptr<Work> work) REQUIRES(mutex_);
  std::shared_ptr<Work> Next() REQUIRES(mutex_);

  Mutex mutex_;
  CondVar has_work_;
  // By tenant; those that have work stand in `turns_`, each once.
  std::map<std::string, std::deque<std::shared_ptr<Work>>> lines_ GUARDED_BY(mutex_);
  std::deque<std::string> turns_ GUARDED_BY(mutex_);
  bool is_closed_ GUARDED_BY(mutex_) = false;
  std::vector<std::jthread> threads_;
};

}  // namespace sluice::net

#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace sluice::server {

// Threads for calls that take long, so that pushes never wait behind them: they also give way to other
// threads when the processors are busy. Accounts have their turns one after another, and none can take all
// the places to wait in. Thread-safe.
class Workers {
 public:
  Workers(const std::string& name, int threads, int max_waiting);
  ~Workers();  // waits for what runs; the rest is dropped

  // False when too much waits already, in all or for `account`.
  bool Run(const std::string& account, std::function<void()> work);
  size_t running() const;
  size_t waiting() const;

 private:
  void Work(const std::stop_token& stop, const std::string& name);

  const size_t max_waiting_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<std::string, std::deque<std::function<void()>>> waiting_;  // by account, under mutex_
  size_t waiting_count_ = 0;                                          // under mutex_
  std::string served_;                                                // account, under mutex_
  size_t running_ = 0;                                                // under mutex_
  std::vector<std::jthread> threads_;
};

// Stops work whose client has gone: asks now and then while there is such work. Thread-safe.
class ClientWatch {
 public:
  ClientWatch();
  ~ClientWatch();

  // Asks `is_gone` on the watch's thread until what is returned is destroyed, which waits for a call that is
  // running; its token is stopped when the answer was yes, or when `other` is. Must outlive what it returned.
  class Watched {
   public:
    virtual ~Watched() = default;
    virtual std::stop_token token() const = 0;
  };
  std::unique_ptr<Watched> Watch(std::function<bool()> is_gone, std::stop_token other);

 private:
  struct Entry;
  class Handle;
  void Work(const std::stop_token& stop);

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::list<Entry> entries_;  // under mutex_
  std::jthread thread_;
};

}  // namespace sluice::server

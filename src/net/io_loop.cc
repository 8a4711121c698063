#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "net/http_condition.h"
#include "net/io_loop_internal.h"

namespace sluice::net {

namespace asio = boost::asio;

namespace {
constexpr std::chrono::milliseconds kSlack{20};
}

IoLoop::IoLoop() : guard_(asio::make_work_guard(context_)), timer_(context_.get_executor()) {}

IoLoop::~IoLoop() { Join(); }

void IoLoop::Start() {
  thread_ = std::thread([this] { context_.run(); });
}

void IoLoop::Join() {
  {
    MutexLock lock(mutex_);
    is_closed_ = true;
  }
  if (!thread_.joinable()) return;
  asio::post(context_, [this] {
    next_sweep_ = Deadlined::Time::max();
    timer_.cancel();
    guard_.reset();
  });
  thread_.join();
  MutexLock lock(mutex_);
  posted_.clear();
}

void IoLoop::Post(std::shared_ptr<Work> work) {
  MutexLock lock(mutex_);
  if (is_closed_) return;
  posted_.push_back(std::move(work));
  // Within the lock: the context may be gone as soon as the loop is closed.
  if (posted_.size() == 1) asio::post(context_, [this] { RunPosted(); });
}

void IoLoop::RunPosted() {
  std::vector<std::shared_ptr<Work>> works;
  {
    MutexLock lock(mutex_);
    works.swap(posted_);
  }
  for (const std::shared_ptr<Work>& work : works) work->Run();
}

void IoLoop::PushSoon(WorkerPool& pool, std::shared_ptr<Work> work) {
  if (!for_pool_.empty() && for_pool_.back()->tenant() == work->tenant() && for_pool_.back()->Absorb(*work))
    return;
  for_pool_.push_back(std::move(work));
  if (for_pool_.size() > 1) return;
  asio::post(context_, [this, &pool] { pool.PushAll(std::exchange(for_pool_, {})); });
}

void IoLoop::SetDeadline(Deadlined& item, Deadlined::Time deadline) {
  item.deadline_ = deadline;
  if (deadline >= next_sweep_) return;
  next_sweep_ = deadline;
  ArmTimer();
}

void IoLoop::ArmTimer() {
  timer_.expires_at(next_sweep_);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) Sweep();
  });
}

void IoLoop::Sweep() {
  const auto now = std::chrono::steady_clock::now();
  next_sweep_ = Deadlined::Time::max();
  ForEach([&](Deadlined& item) {
    // One that went away meanwhile is not touched.
    if (items_.contains(&item) && item.deadline_ <= now) {
      item.deadline_ = Deadlined::Time::max();
      item.OnDeadline();
    }
  });
  auto next = Deadlined::Time::max();
  for (const Deadlined* item : items_) next = std::min(next, item->deadline_);
  if (next == Deadlined::Time::max()) return;
  next = std::max(next, now + kSlack);
  if (next >= next_sweep_) return;  // armed meanwhile
  next_sweep_ = next;
  ArmTimer();
}

std::string_view IoLoop::HttpDate() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  if (now != date_second_) {
    date_second_ = now;
    date_ = FormatHttpDate(now);
  }
  return date_;
}

WorkerPool::WorkerPool(int threads) {
  for (int i = 0; i < std::max(1, threads); ++i) threads_.emplace_back([this] { Loop(); });
}

void WorkerPool::Push(std::shared_ptr<Work> work) {
  {
    MutexLock lock(mutex_);
    if (is_closed_) return;
    Add(std::move(work));
  }
  has_work_.NotifyOne();
}

void WorkerPool::PushAll(std::vector<std::shared_ptr<Work>> works) {
  const size_t count = works.size();
  {
    MutexLock lock(mutex_);
    if (is_closed_) return;
    for (std::shared_ptr<Work>& work : works) Add(std::move(work));
  }
  for (size_t i = 0; i < std::min(count, threads_.size()); ++i) has_work_.NotifyOne();
}

void WorkerPool::Join() {
  {
    MutexLock lock(mutex_);
    is_closed_ = true;
  }
  has_work_.NotifyAll();
  threads_.clear();
}

void WorkerPool::Add(std::shared_ptr<Work> work) {
  auto& line = lines_[work->tenant()];
  if (line.empty()) turns_.push_back(work->tenant());
  line.push_back(std::move(work));
}

std::shared_ptr<Work> WorkerPool::Next() {
  std::string tenant = std::move(turns_.front());
  turns_.pop_front();
  const auto line = lines_.find(tenant);
  auto work = std::move(line->second.front());
  line->second.pop_front();
  if (line->second.empty()) {
    lines_.erase(line);
  } else {
    turns_.push_back(std::move(tenant));
  }
  return work;
}

void WorkerPool::Loop() {
  while (true) {
    std::shared_ptr<Work> work;
    {
      MutexLock lock(mutex_);
      has_work_.Wait(mutex_, [this]() NO_THREAD_SAFETY_ANALYSIS { return is_closed_ || !turns_.empty(); });
      if (turns_.empty()) return;
      work = Next();
    }
    work->Run();
  }
}

}  // namespace sluice::net

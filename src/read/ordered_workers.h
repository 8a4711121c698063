#pragma once

#include <functional>
#include <map>
#include <optional>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"

namespace sluice::read {

// Pieces of one input through several threads, handed over in order. `produce` runs on one thread at a time
// and gives the pieces in order; `work` runs on many; `Next` returns the results in the order of the pieces.
// At most `window` pieces are between the two. With one thread everything happens inside Next. Next is
// confined to one thread; the destructor stops.
template <class In, class Out>
class OrderedWorkers {
 public:
  using Produce = std::function<Result<std::optional<In>>()>;
  using Work = std::function<Result<Out>(In)>;

  OrderedWorkers(int threads, Produce produce, Work work)
      : thread_count_(threads),
        window_(static_cast<size_t>(threads) + 2),
        produce_(std::move(produce)),
        work_(std::move(work)) {}

  ~OrderedWorkers() {
    {
      MutexLock lock(mutex_);
      closed_ = true;
      changed_.NotifyAll();
    }
    threads_.clear();  // joins
  }
  OrderedWorkers(const OrderedWorkers&) = delete;
  OrderedWorkers& operator=(const OrderedWorkers&) = delete;

  // Nothing at the end. After an error nothing else comes.
  Result<std::optional<Out>> Next() {
    if (thread_count_ <= 1) return NextInline();
    if (threads_.empty()) {
      for (int i = 0; i < thread_count_; ++i) threads_.emplace_back([this] { Run(); });
    }
    MutexLock lock(mutex_);
    changed_.Wait(mutex_, [this]() NO_THREAD_SAFETY_ANALYSIS {
      return results_.contains(next_out_) || (ended_ && !producing_ && next_out_ == next_in_);
    });
    auto found = results_.find(next_out_);
    if (found == results_.end()) return std::optional<Out>();
    Result<Out> result = std::move(found->second);
    results_.erase(found);
    ++next_out_;
    changed_.NotifyAll();
    if (!result.ok()) return Fail(std::move(result).error());
    return std::optional<Out>(std::move(result).value());
  }

 private:
  Error Fail(Error error) REQUIRES(mutex_) {
    closed_ = ended_ = true;
    next_out_ = next_in_;
    results_.clear();
    return error;
  }

  Result<std::optional<Out>> NextInline() {
    if (inline_ended_) return std::optional<Out>();
    inline_ended_ = true;  // until this piece went well
    ASSIGN_OR_RETURN(std::optional<In> piece, produce_());
    if (!piece) return std::optional<Out>();
    ASSIGN_OR_RETURN(Out out, work_(std::move(*piece)));
    inline_ended_ = false;
    return std::optional<Out>(std::move(out));
  }

  void Run() {
    for (;;) {
      {
        MutexLock lock(mutex_);
        changed_.Wait(mutex_, [this]() NO_THREAD_SAFETY_ANALYSIS {
          return closed_ || ended_ || (!producing_ && next_in_ - next_out_ < window_);
        });
        if (closed_ || ended_) return;
        producing_ = true;
      }
      Result<std::optional<In>> piece = produce_();
      size_t number = 0;
      {
        MutexLock lock(mutex_);
        producing_ = false;
        changed_.NotifyAll();
        if (!piece.ok() || !piece->has_value()) {
          ended_ = true;
          if (!piece.ok()) results_.emplace(next_in_++, std::move(piece).error());
          return;
        }
        number = next_in_++;
      }
      Result<Out> result = work_(std::move(**piece));
      MutexLock lock(mutex_);
      if (closed_) return;
      results_.emplace(number, std::move(result));
      changed_.NotifyAll();
    }
  }

  const int thread_count_;
  const size_t window_;
  const Produce produce_;
  const Work work_;
  bool inline_ended_ = false;

  Mutex mutex_;
  CondVar changed_;
  bool closed_ GUARDED_BY(mutex_) = false;
  bool ended_ GUARDED_BY(mutex_) = false;  // produce has given its last piece
  bool producing_ GUARDED_BY(mutex_) = false;
  size_t next_in_ GUARDED_BY(mutex_) = 0;
  size_t next_out_ GUARDED_BY(mutex_) = 0;
  std::map<size_t, Result<Out>> results_ GUARDED_BY(mutex_);
  std::vector<std::jthread> threads_;  // last: joined before the rest goes
};

}  // namespace sluice::read

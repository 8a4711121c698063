#pragma once

#include <atomic>
#include <memory>

#include "base/shares.h"
#include "net/http_server.h"
#include "net/io_loop_internal.h"

namespace sluice::net {

// One request's part of the budget; given back with the object. Confined to one thread after another.
class BudgetShare {
 public:
  BudgetShare(std::shared_ptr<Shares> budget, std::string tenant)
      : budget_(std::move(budget)), tenant_(std::move(tenant)) {}
  ~BudgetShare() {
    if (held_ > 0) budget_->Give(tenant_, held_);
  }
  BudgetShare(const BudgetShare&) = delete;
  BudgetShare& operator=(const BudgetShare&) = delete;

  // Holds at least `bytes` from now on. False when the budget is used up.
  bool Cover(uint64_t bytes);
  // The answer for then.
  static HttpResponse Refusal();

 private:
  const std::shared_ptr<Shares> budget_;
  const std::string tenant_;
  uint64_t held_ = 0;
};

// Something that a coroutine of a loop waits for. Confined to the loop's thread.
class Waiter {
 public:
  // Suspends until Wake; wakes without a reason are the caller's to expect.
  Awaitable<void> Wait();
  void Wake();

 private:
  // A suspended coroutine, whatever its type.
  struct Suspended {
    virtual ~Suspended() = default;
    virtual void Resume() = 0;
  };
  template <class Handler>
  struct SuspendedBy;

  std::unique_ptr<Suspended> suspended_;
};

// Where the answer meets the connection that waits for it. Take and is_client_gone are thread-safe, the rest
// is for the loop's thread. May outlive connection and server.
class ResponseSlot final : public ResponseSink,
                           public Work,
                           public std::enable_shared_from_this<ResponseSlot> {
 public:
  ResponseSlot(std::shared_ptr<IoLoop> loop, std::shared_ptr<Shares> budget, std::string tenant)
      : loop_(std::move(loop)), share(std::move(budget), std::move(tenant)) {}

  void Take(HttpResponse response) override;
  bool is_client_gone() const override { return is_gone_; }
  void Run() override;  // the answer has come

  bool is_answered() const { return is_answered_; }
  HttpResponse& response() { return response_; }
  void SetGone() { is_gone_ = true; }
  // While set, an answer given on the loop's own thread is there at once.
  void set_inline(bool is_inline) { is_inline_ = is_inline; }

 private:
  const std::shared_ptr<IoLoop> loop_;

 public:
  BudgetShare share;
  Waiter waiter;
  bool has_returned = false;  // Serve has

 private:
  HttpResponse response_;
  bool is_answered_ = false;
  std::atomic<bool> is_inline_ = false;
  std::atomic<bool> is_gone_ = false;
};

// Runs `call` on the pool, then comes back to the loop and wakes whoever waits.
class PoolCall final : public Work, public std::enable_shared_from_this<PoolCall> {
 public:
  PoolCall(std::shared_ptr<IoLoop> loop, std::function<void()> call)
      : loop_(std::move(loop)), call_(std::move(call)) {}
  void Run() override;
  // To be awaited once, after it was pushed to the pool, on the loop's thread.
  Awaitable<void> Done();

 private:
  const std::shared_ptr<IoLoop> loop_;
  const std::function<void()> call_;
  bool has_run_ = false;  // for the thread that runs it, then the loop's
  bool is_back_ = false;  // the loop's
  Waiter waiter_;
};

}  // namespace sluice::net

#include <boost/asio/async_result.hpp>

#include "net/http_message.h"
#include "net/response_slot_internal.h"

namespace sluice::net {

namespace asio = boost::asio;

bool BudgetShare::Cover(uint64_t bytes) {
  if (bytes <= held_) return true;
  if (!budget_->TakeIfAllowed(tenant_, bytes - held_)) return false;
  held_ = bytes;
  return true;
}

HttpResponse BudgetShare::Refusal() {
  HttpResponse response =
      ProblemResponse(503, "too many requests are being received at once; send this one again");
  response.headers.Set("Retry-After", "1");
  return response;
}

template <class Handler>
struct Waiter::SuspendedBy final : Suspended {
  explicit SuspendedBy(Handler taken) : handler(std::move(taken)) {}
  void Resume() override { std::move(handler)(); }
  Handler handler;
};

Awaitable<void> Waiter::Wait() {
  co_await asio::async_initiate<const asio::use_awaitable_t<Executor>&, void()>(
      [this](auto handler) {
        suspended_ = std::make_unique<SuspendedBy<decltype(handler)>>(std::move(handler));
      },
      kAwait);
}

void Waiter::Wake() {
  if (const auto suspended = std::move(suspended_); suspended != nullptr) suspended->Resume();
}

void ResponseSlot::Take(HttpResponse response) {
  response_ = std::move(response);
  if (is_inline_ && loop_->is_here()) {
    is_answered_ = true;
  } else {
    loop_->Post(shared_from_this());
  }
}

void ResponseSlot::Run() {
  is_answered_ = true;
  waiter.Wake();
}

void PoolCall::Run() {
  if (!has_run_) {
    call_();
    has_run_ = true;
    loop_->Post(shared_from_this());
  } else {
    is_back_ = true;
    waiter_.Wake();
  }
}

Awaitable<void> PoolCall::Done() {
  while (!is_back_) co_await waiter_.Wait();
}

Responder& Responder::operator=(Responder&& other) noexcept {
  if (this != &other) {
    const Responder dropped(std::move(sink_));
    sink_ = std::move(other.sink_);
  }
  return *this;
}

Responder::~Responder() {
  if (sink_ != nullptr) Send(ProblemResponse(500, "the request was dropped without an answer"));
}

void Responder::Send(HttpResponse response) {
  if (const auto sink = std::exchange(sink_, nullptr); sink != nullptr) sink->Take(std::move(response));
}

HttpResponse HttpHandler::Handle(HttpRequest&) { return ProblemResponse(500, "nothing answers here"); }

}  // namespace sluice::net

#include <poll.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <cstring>
#include <future>
#include <iterator>

#include "net/http_condition.h"
#include "net/http_session_internal.h"

namespace sluice::net {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr size_t kHeadBytes = 16 << 10;
constexpr size_t kReadBytes = 64 << 10;
constexpr uint64_t kDrainBytes = 1 << 20;
constexpr uint64_t kReserveBytes = 1 << 20;
constexpr std::chrono::seconds kProbeEvery{1};
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

HttpResponse ErrorResponse(const Error& error) {
  return ProblemResponse(error.code() == ErrorCode::kTimeout ? 408 : InfoOf(error.code()).http_status,
                         error.ToString());
}

Error SlowBody() { return Error(ErrorCode::kTimeout, "the client sends the body too slowly"); }

}  // namespace

std::pair<char*, size_t> InputBuffer::Room(size_t max_bytes) {
  if (begin_ == end_) begin_ = end_ = 0;
  if (end_ == capacity_ && begin_ > 0) {
    std::memmove(data_.get(), data_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == capacity_ && capacity_ < max_bytes) {
    const size_t capacity = std::min(max_bytes, std::max(kHeadBytes, capacity_ * 2));
    auto data = std::make_unique_for_overwrite<char[]>(capacity);
    if (end_ > 0) std::memcpy(data.get(), data_.get(), end_);
    data_ = std::move(data);
    capacity_ = capacity;
  }
  return {data_.get() + end_, capacity_ - end_};
}

void InputBuffer::Release() {
  if (begin_ != end_) return;
  data_.reset();
  capacity_ = begin_ = end_ = 0;
}

// A read of a streamed body, asked for on a handler's thread and done on the connection's.
class PieceRead final : public Work, public std::enable_shared_from_this<PieceRead> {
 public:
  explicit PieceRead(Session& session) : session_(session) {}

  Result<std::string> Get() {
    std::future<void> done = done_.get_future();
    session_.loop_->Post(shared_from_this());
    done.get();
    if (error_) return *error_;
    return std::move(piece_);
  }

  void Run() override {
    asio::co_spawn(session_.loop_->context(), session_.ReadPiece(piece_, error_),
                   [self = shared_from_this()](std::exception_ptr failure) {
                     if (failure) self->error_ = Error(ErrorCode::kUnavailable, "cannot read the body");
                     self->done_.set_value();
                   });
  }

 private:
  Session& session_;
  std::string piece_;
  std::optional<Error> error_;
  std::promise<void> done_;
};

// The body as a handler sees it.
class StreamedBody final : public BodyReader {
 public:
  explicit StreamedBody(Session& session) : session_(session) {}

  Result<std::string> Read() override {
    if (error_) return *error_;
    auto piece = std::make_shared<PieceRead>(session_)->Get();
    if (!piece.ok()) error_ = piece.error();
    return piece;
  }

 private:
  Session& session_;
  std::optional<Error> error_;
};

namespace {

// A streamed body on its way through a decoder.
class DecodedBody final : public BodyReader {
 public:
  DecodedBody(BodyReader& raw, std::unique_ptr<BodyDecoder> decoder)
      : raw_(raw), decoder_(std::move(decoder)) {}

  Result<std::string> Read() override {
    std::string expanded;
    while (expanded.empty() && !is_over_) {
      if (rest_.empty()) {
        ASSIGN_OR_RETURN(piece_, raw_.Read());
        rest_ = piece_;
        is_over_ = piece_.empty();
      }
      RETURN_IF_ERROR(decoder_->Decode(rest_, expanded));
    }
    if (is_over_ && expanded.empty()) RETURN_IF_ERROR(decoder_->Finish());
    return expanded;
  }

 private:
  BodyReader& raw_;
  const std::unique_ptr<BodyDecoder> decoder_;
  std::string piece_;
  std::string_view rest_;
  bool is_over_ = false;
};

// One call of the handler on a thread of the pool.
class ServeCall final : public Work, public std::enable_shared_from_this<ServeCall> {
 public:
  ServeCall(HttpHandler& handler, HttpRequest request, std::shared_ptr<ResponseSlot> slot,
            std::shared_ptr<IoLoop> loop, std::string tenant)
      : Work(std::move(tenant)),
        handler_(handler),
        request_(std::move(request)),
        slot_(std::move(slot)),
        loop_(std::move(loop)) {}

  void SetCoding(BodyCoding coding, const DecodeLimits& limits) {
    coding_ = coding;
    limits_ = limits;
  }

  void Run() override {
    if (has_run_) {  // back on the connection's thread
      slot_->has_returned = true;
      slot_->waiter.Wake();
      return;
    }
    has_run_ = true;
    const bool is_streamed = request_.stream != nullptr;
    Serve();
    if (is_streamed) loop_->Post(shared_from_this());
  }

 private:
  void Serve() {
    Responder responder(slot_);
    std::unique_ptr<DecodedBody> decoded;
    if (coding_ != BodyCoding::kIdentity) {
      auto decoder = BodyDecoder::Make(coding_, limits_);
      if (!decoder.ok()) return Refuse(ErrorResponse(decoder.error()), responder);
      if (request_.stream != nullptr) {
        decoded = std::make_unique<DecodedBody>(*request_.stream, std::move(*decoder));
        request_.stream = decoded.get();
      } else if (auto refusal = Expand(**decoder)) {
        return Refuse(std::move(*refusal), responder);
      }
    }
    try {
      handler_.Serve(std::move(request_), std::move(responder));
    } catch (...) {
      // Its responder was destroyed on the way, and has answered.
    }
  }

  void Refuse(HttpResponse refusal, Responder& responder) {
    handler_.OnRefusal(request_, refusal);
    responder.Send(std::move(refusal));
  }

  std::optional<HttpResponse> Expand(BodyDecoder& decoder) {
    std::string expanded;
    std::string_view rest = request_.body;
    size_t before = 0;
    do {
      before = expanded.size();
      if (const Status status = decoder.Decode(rest, expanded); !status.ok())
        return ErrorResponse(status.error());
      if (!slot_->share.Cover(request_.body.capacity() + expanded.capacity())) return BudgetShare::Refusal();
    } while (!rest.empty() || expanded.size() > before);
    if (const Status status = decoder.Finish(); !status.ok()) return ErrorResponse(status.error());
    request_.body = std::move(expanded);
    return std::nullopt;
  }

  HttpHandler& handler_;
  HttpRequest request_;
  const std::shared_ptr<ResponseSlot> slot_;
  const std::shared_ptr<IoLoop> loop_;
  BodyCoding coding_ = BodyCoding::kIdentity;
  DecodeLimits limits_;
  bool has_run_ = false;
};

// Brief calls that came at one time.
class BriefCalls final : public Work {
 public:
  BriefCalls(const SessionContext& context, std::string tenant)
      : Work(std::move(tenant)), context_(context) {}

  void Add(HttpRequest request, std::shared_ptr<ResponseSlot> slot) {
    calls_.push_back({std::move(request), Responder(std::move(slot))});
  }

  bool Absorb(Work& other) override {
    auto* more = dynamic_cast<BriefCalls*>(&other);
    if (more == nullptr || calls_.size() + more->calls_.size() > kMostTogether) return false;
    std::move(more->calls_.begin(), more->calls_.end(), std::back_inserter(calls_));
    return true;
  }

  void Run() override {
    size_t served = calls_.size();
    try {
      served = context_.handler.ServeTogether(calls_);
    } catch (...) {
      // Their responders are destroyed, and have answered.
    }
    std::vector<std::shared_ptr<Work>> rest;
    for (size_t i = served; i < calls_.size(); ++i) {
      auto alone = std::make_shared<BriefCalls>(context_, tenant());
      alone->calls_.push_back(std::move(calls_[i]));
      rest.push_back(std::move(alone));
    }
    if (!rest.empty()) context_.pool.PushAll(std::move(rest));
  }

 private:
  static constexpr size_t kMostTogether = 64;

  const SessionContext& context_;
  std::vector<HttpHandler::Pending> calls_;
};

}  // namespace

Session::Session(std::shared_ptr<IoLoop> loop, int fd, int family, SslPointer ssl, Peer peer,
                 const SessionContext& context)
    : loop_(std::move(loop)),
      context_(context),
      peer_(std::move(peer)),
      socket_(loop_->context().get_executor(), asio::generic::stream_protocol(family, 0), fd),
      transport_(fd, std::move(ssl)) {
  loop_->Add(*this);
}

Session::~Session() { loop_->Remove(*this); }

void Session::SetTimeout(std::chrono::milliseconds timeout) {
  is_probing_ = false;
  loop_->SetDeadline(*this, Clock::now() + timeout);
}

void Session::OnDeadline() {
  error_code ignored;
  if (!is_probing_) {
    is_timed_out_ = true;
    socket_.cancel(ignored);
    return;
  }
  pollfd state{.fd = socket_.native_handle(), .events = POLLRDHUP, .revents = 0};
  const bool has_news = ::poll(&state, 1, 0) > 0;
  if (has_news && (state.revents & (POLLERR | POLLHUP)) != 0) return Cut();
  // It sends nothing more: because it has gone, or because this was all, and it waits.
  if (has_news && !AskWhetherItWaits()) return Cut();
  loop_->SetDeadline(*this, Clock::now() + kProbeEvery);
}

// What a client that waits passes over, and the machine of one that has gone answers with a reset. Said once:
// the reset shows at the next look.
bool Session::AskWhetherItWaits() {
  if (is_asked_ || !parser_->is_http11()) return true;
  is_asked_ = true;
  return transport_.Write(kContinue, {}).next != Transport::Next::kBroken;
}

void Session::Cut() {
  is_cut_ = true;
  error_code ignored;
  socket_.cancel(ignored);
  if (slot_ == nullptr) return;
  slot_->SetGone();
  slot_->waiter.Wake();
}

asio::awaitable<bool, Executor> Session::WaitFor(Transport::Next next) {
  if (is_cut_ || is_timed_out_) co_return false;
  const auto type =
      next == Transport::Next::kWaitToRead ? asio::socket_base::wait_read : asio::socket_base::wait_write;
  error_code error;
  co_await socket_.async_wait(type, asio::redirect_error(kAwait, error));
  co_return !error && !is_cut_ && !is_timed_out_;
}

Awaitable<bool> Session::Handshake() {
  SetTimeout(context_.options.header_timeout);
  while (true) {
    const auto [bytes, next] = transport_.Handshake();
    if (next == Transport::Next::kDone) co_return true;
    if (next == Transport::Next::kEnded || next == Transport::Next::kBroken) co_return false;
    if (!co_await WaitFor(next)) co_return false;
  }
}

Awaitable<bool> Session::Fill(size_t max_bytes) {
  const auto [data, size] = input_.Room(max_bytes);
  if (size == 0) co_return false;
  while (true) {
    const auto [bytes, next] = transport_.Read(data, size);
    if (next == Transport::Next::kDone) {
      input_.Commit(bytes);
      co_return true;
    }
    has_ended_ = next == Transport::Next::kEnded;
    if (next == Transport::Next::kEnded || next == Transport::Next::kBroken) co_return false;
    if (!co_await WaitFor(next)) co_return false;
  }
}

Awaitable<void> Session::Run() {
  bool is_open = true;
  if (transport_.is_tls()) is_open = co_await Handshake();
  while (is_open) is_open = co_await ServeOne();
  transport_.EndWriting();
  error_code ignored;
  socket_.close(ignored);
}

Awaitable<bool> Session::WaitForBytes() {
  if (!input_.is_empty()) co_return true;  // pipelined
  if (context_.is_stopping) co_return false;
  input_.Release();
  SetTimeout(context_.options.idle_timeout);
  is_idle_ = true;
  // Without a buffer until there is something to put into it.
  bool has_bytes = true;
  if (!transport_.is_tls()) has_bytes = co_await WaitFor(Transport::Next::kWaitToRead);
  if (has_bytes) has_bytes = co_await Fill(kHeadBytes);
  is_idle_ = false;
  co_return has_bytes;
}

Awaitable<bool> Session::ReadHead(HttpRequest& request) {
  is_probing_ = false;
  loop_->SetDeadline(*this, started_ + context_.options.header_timeout);
  bool has_begun = false;
  request.peer = peer_.name;
  while (true) {
    // Empty lines are left by some clients after a body.
    while (!has_begun && input_.view().starts_with("\r\n")) input_.Consume(2);
    has_begun = has_begun || (!input_.is_empty() && input_.view() != "\r");
    if (has_begun && !input_.is_empty()) input_.Consume(parser_->PutHeader(input_.view()));
    if (parser_->refusal()) {
      co_await Reject(ProblemResponse(parser_->refusal()->status, parser_->refusal()->message), &request);
      co_return false;
    }
    if (parser_->is_header_done()) break;
    if (co_await Fill(context_.limits.max_header_bytes + kHeadBytes)) continue;
    if (is_timed_out_) co_await Reject(ProblemResponse(408, "the header comes too slowly"), &request);
    if (has_ended_ && has_begun)
      co_await Reject(ProblemResponse(400, "the header of the request is not whole"), &request);
    co_return false;
  }
  request.peer_user = peer_.user;
  request.stop = context_.stop;
  const std::optional<std::string> expectation = request.headers.Find("Expect");
  expects_continue_ = parser_->is_http11() && expectation && EqualsIgnoringCase(*expectation, "100-continue");
  if (expectation && !expectation->empty() && parser_->is_http11() && !expects_continue_) {
    co_await Reject(ProblemResponse(417, fmt::format("cannot fulfil 'Expect: {}'", *expectation)), &request);
    co_return false;
  }
  co_return true;
}

Awaitable<void> Session::ReadPiece(std::string& piece, std::optional<Error>& error) {
  piece.clear();
  if (parser_->body_bytes() == 0) body_started_ = Clock::now();
  while (!parser_->is_done() && piece.empty()) {
    if (is_cut_ || is_read_broken_) {
      error = Error(ErrorCode::kUnavailable, "the connection has ended");
      co_return;
    }
    if (!input_.is_empty()) {
      const size_t used = parser_->PutBody(input_.view(), piece);
      input_.Consume(used);
      if (parser_->refusal()) {
        const auto& [status, message] = *parser_->refusal();
        error = Error(status == 413 ? ErrorCode::kTooLarge : ErrorCode::kInvalidArgument, message);
        piece.clear();
        co_return;
      }
      if (used > 0) continue;
    }
    if (expects_continue_) {
      expects_continue_ = false;
      if (!co_await Write(kContinue, {})) is_read_broken_ = true;
    }
    is_probing_ = false;
    // However many bytes come: on average they must not come too slowly.
    const auto earned = std::chrono::milliseconds(parser_->body_bytes() * 1000 /
                                                  std::max(1u, context_.options.min_body_bytes_per_second));
    const auto timeout = context_.options.body_timeout;
    loop_->SetDeadline(*this, std::min(Clock::now() + timeout, body_started_ + timeout + earned));
    const bool is_filled = co_await Fill(kReadBytes);
    loop_->ClearDeadline(*this);
    if (is_filled) continue;
    if (!input_.is_empty() && input_.Room(kReadBytes).second == 0) {
      error = InvalidArgument("a chunk of the body has a header of more than {} bytes", kReadBytes);
      co_return;
    }
    is_read_broken_ = true;
    error = is_timed_out_ ? SlowBody()
            : has_ended_
                ? InvalidArgument("the body of the request is not whole: the client closed within it")
                : Error(ErrorCode::kUnavailable, "the connection broke within the body");
    // An answer can still be given.
    is_timed_out_ = false;
    co_return;
  }
}

Awaitable<bool> Session::ReadWholeBody(HttpRequest& request) {
  if (parser_->is_done()) co_return true;
  if (const auto length = parser_->content_length()) request.body.reserve(std::min(*length, kReserveBytes));
  std::string piece;
  std::optional<Error> error;
  bool is_first = true;
  do {
    // Most bodies are one piece, which then needs no copy.
    std::string& into = is_first ? request.body : piece;
    co_await ReadPiece(into, error);
    if (!is_first) request.body += piece;
    if (!error && !slot_->share.Cover(request.body.capacity())) {
      co_await Reject(BudgetShare::Refusal(), &request);
      co_return false;
    }
    is_first = false;
  } while (!error && !parser_->is_done());
  if (!error) co_return true;
  if (error->code() != ErrorCode::kUnavailable) co_await Reject(ErrorResponse(*error), &request);
  co_return false;
}

Awaitable<bool> Session::Drain() {
  parser_->set_max_body_bytes(parser_->body_bytes() + kDrainBytes);
  std::string piece;
  std::optional<Error> error;
  do {
    co_await ReadPiece(piece, error);
  } while (!error && !parser_->is_done());
  co_return !error;
}

Awaitable<bool> Session::CallHandler(HttpRequest request, const BodyPlan& plan, BodyCoding coding) {
  const bool is_streamed = request.stream != nullptr;
  is_probing_ = true;
  is_asked_ = false;
  loop_->SetDeadline(*this, Clock::now() + kProbeEvery);
  if (!plan.may_block && !is_streamed && coding == BodyCoding::kIdentity) {
    slot_->set_inline(true);
    try {
      context_.handler.Serve(std::move(request), Responder(slot_));
    } catch (...) {
      // Its responder was destroyed on the way, and has answered.
    }
    slot_->set_inline(false);
  } else if (plan.is_brief && !is_streamed && coding == BodyCoding::kIdentity) {
    auto call = std::make_shared<BriefCalls>(context_, plan.tenant);
    call->Add(std::move(request), slot_);
    loop_->PushSoon(context_.pool, std::move(call));
  } else {
    auto call = std::make_shared<ServeCall>(context_.handler, std::move(request), slot_, loop_, plan.tenant);
    call->SetCoding(coding, {.max_bytes = plan.max_bytes, .max_ratio = context_.options.max_expansion});
    loop_->PushSoon(context_.pool, std::move(call));
  }
  // A streamed body is this connection's: it must outlive the call.
  while ((!slot_->is_answered() && !is_cut_) || (is_streamed && !slot_->has_returned)) {
    co_await slot_->waiter.Wait();
  }
  loop_->ClearDeadline(*this);
  co_return slot_->is_answered() && !is_cut_;
}

Awaitable<bool> Session::ServeOne() {
  HttpRequest request;
  if (!co_await WaitForBytes()) co_return false;
  started_ = Clock::now();
  parser_.emplace(request, context_.limits);
  if (!co_await ReadHead(request)) co_return false;
  const BodyPlan plan = context_.handler.PlanBody(request);
  parser_->set_max_body_bytes(plan.max_bytes);
  const auto coding = BodyCodingOf(request.headers);
  if (!coding.ok()) {
    HttpResponse refusal = ErrorResponse(coding.error());
    refusal.headers.Set("Accept-Encoding", "gzip, zstd");  // RFC 9110 12.5.3
    co_await Reject(std::move(refusal), &request);
    co_return false;
  }
  // No compressor writes zero bytes: where a coding is named, they are a body that was lost.
  const bool is_lost = parser_->content_length() && *coding != BodyCoding::kIdentity;
  const bool has_body = !parser_->is_done() || is_lost;
  if (has_body) request.headers.Remove("Content-Encoding");  // true no more once it is expanded
  if (const auto length = parser_->content_length(); length && *length > plan.max_bytes) {
    co_await Reject(
        ProblemResponse(413, fmt::format("the body of {} bytes is larger than the limit of {} bytes", *length,
                                         plan.max_bytes)),
        &request);
    co_return false;
  }
  slot_ = std::make_shared<ResponseSlot>(loop_, context_.budget, plan.tenant);
  StreamedBody streamed(*this);
  if (plan.is_streamed) {
    request.stream = &streamed;
  } else if (!co_await ReadWholeBody(request)) {
    slot_.reset();
    co_return false;
  }
  Kept kept;
  kept.request.method = request.method;
  const bool is_logged = context_.options.on_access != nullptr;
  if (is_logged) kept.request.target = request.target;
  if (is_logged || request.method == "GET" || request.method == "HEAD")
    kept.request.headers = request.headers;
  const bool is_answered =
      co_await CallHandler(std::move(request), plan, has_body ? *coding : BodyCoding::kIdentity);
  const std::shared_ptr<ResponseSlot> slot = std::exchange(slot_, nullptr);
  // Not `a && co_await b`: GCC 12 awaits b in a co_return whatever a is.
  if (!is_answered) co_return false;
  co_return co_await Answer(kept, slot->response());
}

Awaitable<bool> Session::Answer(Kept& kept, HttpResponse& response) {
  ApplyConditions(kept.request, response);
  // Of a body that was not read to its end, the rest is taken if it is short. A client that still waits for
  // leave to send it may do so or not: its next bytes could mean either.
  const bool is_refused = parser_->refusal().has_value();
  const bool can_go_on = !is_read_broken_ && !is_refused && (parser_->is_done() || !expects_continue_);
  kept.keep_alive = parser_->is_keep_alive() && !context_.is_stopping && can_go_on;
  kept.is_http11 = parser_->is_http11();
  bool stays = false;
  uint64_t body_bytes = 0;
  const bool is_sent = co_await Send(kept, response, body_bytes, stays);
  LogAccess(kept.request, response, body_bytes, is_sent);
  if (!is_sent) co_return false;
  if (parser_->is_done()) co_return stays;
  if (is_read_broken_) co_return false;
  bool is_drained = false;
  if (stays) is_drained = co_await Drain();
  if (is_drained) co_return true;
  co_await Linger();
  co_return false;
}

}  // namespace sluice::net

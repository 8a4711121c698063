#include "net/http_session.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>
#include <cerrno>
#include <chrono>
#include <ctime>

#include "net/http_condition.h"

namespace sluice::net {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kWriteBytes = 256 << 10;
constexpr uint64_t kDrainBytes = 1 << 20;
constexpr std::chrono::seconds kLingerTime{2};

auto Into(error_code& error) { return asio::redirect_error(asio::use_awaitable, error); }

// Status of the answer to a request that could not be read; 0 when nobody is there to hear it.
int StatusOfReadError(const error_code& error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::end_of_stream || error == http::error::partial_message) return 0;
  if (error == http::error::bad_version) return 505;
  if (error.category() == make_error_code(http::error::bad_method).category()) return 400;
  return 0;
}

Error BodyError(const error_code& error) {
  if (error == beast::error::timeout)
    return Error(ErrorCode::kTimeout, "the client sends the body too slowly");
  if (error == http::error::partial_message || error == http::error::end_of_stream) {
    return Error(ErrorCode::kUnavailable, "the client closed the connection within the body");
  }
  if (StatusOfReadError(error) == 400) return InvalidArgument("bad framing of the body: {}", error.message());
  return MakeError(ErrorCode::kUnavailable, "cannot read the body: {}", error.message());
}

Error TooLargeError(uint64_t limit) {
  return MakeError(ErrorCode::kTooLarge, "the body is larger than the limit of {} bytes", limit);
}

bool HasNoBody(int status) { return status < 200 || status == 204 || status == 304; }

// Status line and header. Length and connection are ours.
std::string HeadOf(const HttpResponse& response, std::optional<uint64_t> length, bool is_chunked,
                   bool keep_alive) {
  std::string head = fmt::format(
      "HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status,
      std::string_view(http::obsolete_reason(http::int_to_status(static_cast<unsigned>(response.status)))),
      FormatHttpDate(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
  for (const auto& [name, value] : response.headers.fields()) {
    if (!IsSafeField(name, value)) continue;
    if (EqualsIgnoringCase(name, "Content-Length") || EqualsIgnoringCase(name, "Transfer-Encoding") ||
        EqualsIgnoringCase(name, "Connection")) {
      continue;
    }
    head += fmt::format("{}: {}\r\n", name, value);
  }
  if (is_chunked) head += "Transfer-Encoding: chunked\r\n";
  if (length) head += fmt::format("Content-Length: {}\r\n", *length);
  head += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  return head;
}

}  // namespace

bool Gate::Post(const asio::any_io_executor& executor, std::function<void()> work) {
  MutexLock lock(mutex_);
  if (is_open_) asio::post(executor, std::move(work));
  return is_open_;
}

void Gate::Close() {
  MutexLock lock(mutex_);
  is_open_ = false;
}

// Where the answer meets the connection that waits for it. `timer` is an event: it never expires, and is
// cancelled when something has changed. Everything but Take is for the connection's strand.
class ResponseSlot final : public ResponseSink, public std::enable_shared_from_this<ResponseSlot> {
 public:
  ResponseSlot(std::shared_ptr<Gate> gate, const asio::any_io_executor& executor)
      : gate_(std::move(gate)), executor_(executor), timer(std::make_unique<asio::steady_timer>(executor)) {
    timer->expires_at(asio::steady_timer::time_point::max());
  }

  void Take(HttpResponse answer) override {
    // The answer travels in a pointer: what is posted must be copyable.
    auto moved = std::make_shared<HttpResponse>(std::move(answer));
    gate_->Post(executor_, [self = shared_from_this(), moved] {
      if (self->timer == nullptr) return;  // nobody waits any more
      self->response = std::move(*moved);
      self->timer->cancel();
    });
  }
  bool is_client_gone() const override { return is_gone; }
  // Serve has returned.
  void Returned() {
    gate_->Post(executor_, [self = shared_from_this()] {
      self->has_returned = true;
      if (self->timer != nullptr) self->timer->cancel();
    });
  }

 private:
  const std::shared_ptr<Gate> gate_;
  const asio::any_io_executor executor_;

 public:
  std::unique_ptr<asio::steady_timer> timer;  // null once nobody waits
  std::optional<HttpResponse> response;
  bool has_returned = false;
  std::atomic<bool> is_gone = false;
};

// The body as a handler sees it: each Read is a short visit to the connection's strand.
class StreamedBody final : public BodyReader {
 public:
  explicit StreamedBody(Session& session) : session_(session) {}

  Result<std::string> Read() override {
    std::string piece;
    if (!error_) {
      try {
        asio::co_spawn(session_.executor(), session_.ReadPiece(piece, error_), asio::use_future).get();
      } catch (const std::exception& e) {
        error_ = MakeError(ErrorCode::kUnavailable, "cannot read the body: {}", e.what());
      }
    }
    if (error_) return *error_;
    return piece;
  }

 private:
  Session& session_;
  std::optional<Error> error_;
};

asio::awaitable<void> Session::Run() {
  while (co_await ServeOne()) {
  }
  error_code ignored;
  stream_.socket().shutdown(asio::socket_base::shutdown_send, ignored);
  stream_.close();
}

asio::awaitable<void> Session::Refuse() {
  co_await WriteError(503, "too many connections\n");
  stream_.close();
}

void Session::Cut() {
  is_cut_ = true;
  stream_.close();
  if (slot_ != nullptr && slot_->timer != nullptr) slot_->timer->cancel();
}

asio::awaitable<bool> Session::CallHandler(HttpRequest request, HttpResponse& response) {
  const bool is_streamed = request.stream != nullptr;
  slot_ = std::make_shared<ResponseSlot>(context_.gate, executor());
  auto moved = std::make_shared<HttpRequest>(std::move(request));
  asio::post(context_.pool, [&handler = context_.handler, moved, slot = slot_] {
    try {
      handler.Serve(std::move(*moved), Responder(slot));
    } catch (const std::exception&) {
      // Its responder was destroyed, and has answered.
    } catch (...) {
    }
    slot->Returned();
  });
  // A streamed body is this connection's: it must outlive the call.
  while ((!slot_->response && !is_cut_) || (is_streamed && !slot_->has_returned)) {
    error_code cancelled;
    co_await slot_->timer->async_wait(Into(cancelled));
  }
  slot_->is_gone = is_cut_;
  slot_->timer.reset();
  const bool is_answered = slot_->response.has_value();
  if (is_answered) response = std::move(*slot_->response);
  slot_.reset();
  co_return is_answered;
}

asio::awaitable<bool> Session::WaitForBytes() {
  if (buffer_.size() > 0) co_return true;  // pipelined
  if (context_.is_stopping) co_return false;
  error_code error;
  stream_.expires_after(context_.options.idle_timeout);
  is_idle_ = true;
  const size_t n = co_await stream_.async_read_some(buffer_.prepare(8192), Into(error));
  is_idle_ = false;
  if (error) co_return false;
  buffer_.commit(n);
  co_return true;
}

asio::awaitable<bool> Session::ReadHead(HttpRequest& request) {
  parser_.emplace();
  parser_->header_limit(context_.options.max_header_bytes);
  parser_->body_limit(boost::none);
  body_bytes_ = 0;
  error_code error;
  stream_.expires_after(context_.options.header_timeout);
  co_await http::async_read_header(stream_, buffer_, *parser_, Into(error));
  if (error) {
    if (const int status = StatusOfReadError(error); status != 0) {
      co_await WriteError(status, fmt::format("cannot read the request: {}\n", error.message()));
    }
    co_return false;
  }
  const auto& message = parser_->get();
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  for (const auto& field : message) {
    request.headers.Add(std::string(field.name_string()), std::string(field.value()));
  }
  request.peer = peer_.name;
  request.peer_user = peer_.user;
  request.stop = context_.stop;
  auto url = ParseTarget(request.target);
  if (!url.ok()) {
    co_await WriteError(400, url.error().ToString() + "\n");
    co_return false;
  }
  request.url = std::move(*url);
  if (message.version() >= 11 && !request.headers.Contains("Host")) {
    co_await WriteError(400, "the request has no Host\n");
    co_return false;
  }
  expects_continue_ = message.version() >= 11 &&
                      EqualsIgnoringCase(request.headers.Find("Expect").value_or(""), "100-continue");
  co_return true;
}

asio::awaitable<void> Session::ReadPiece(std::string& piece, std::optional<Error>& error) {
  piece.clear();
  if (parser_->is_done()) co_return;
  if (expects_continue_) {
    expects_continue_ = false;
    const std::string_view answer = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!co_await WriteBytes(answer, {})) {
      error = Error(ErrorCode::kUnavailable, "the client closed the connection");
      co_return;
    }
  }
  piece.resize(kReadBytes);
  while (!parser_->is_done()) {
    auto& body = parser_->get().body();
    body.data = piece.data();
    body.size = piece.size();
    error_code code;
    stream_.expires_after(context_.options.body_timeout);
    co_await http::async_read_some(stream_, buffer_, *parser_, Into(code));
    if (code && code != http::error::need_buffer) {
      error = BodyError(code);
      is_read_broken_ = error->code() != ErrorCode::kInvalidArgument;
      break;
    }
    const size_t n = piece.size() - body.size;
    body_bytes_ += n;
    if (body_bytes_ > max_body_bytes_) {
      error = TooLargeError(max_body_bytes_);
      break;
    }
    if (n > 0) {
      piece.resize(n);
      co_return;
    }
  }
  piece.clear();
}

asio::awaitable<bool> Session::ReadWholeBody(HttpRequest& request) {
  if (const auto length = parser_->content_length()) request.body.reserve(*length);
  std::string piece;
  std::optional<Error> error;
  do {
    co_await ReadPiece(piece, error);
    request.body += piece;
  } while (!error && !piece.empty());
  if (!error) co_return true;
  if (!is_read_broken_) co_await WriteError(InfoOf(error->code()).http_status, error->ToString() + "\n");
  co_return false;
}

asio::awaitable<bool> Session::Drain() {
  max_body_bytes_ = body_bytes_ + kDrainBytes;
  std::string piece;
  std::optional<Error> error;
  do {
    co_await ReadPiece(piece, error);
  } while (!error && !piece.empty());
  co_return !error;
}

asio::awaitable<bool> Session::ServeOne() {
  HttpRequest request;
  if (!co_await WaitForBytes()) co_return false;
  if (!co_await ReadHead(request)) co_return false;
  const BodyPlan plan = context_.handler.PlanBody(request);
  max_body_bytes_ = plan.max_bytes;
  if (const auto length = parser_->content_length(); length && *length > max_body_bytes_) {
    co_await WriteError(413, TooLargeError(max_body_bytes_).ToString() + "\n");
    co_return false;
  }
  StreamedBody streamed(*this);
  if (plan.is_streamed) {
    request.stream = &streamed;
  } else if (!co_await ReadWholeBody(request)) {
    co_return false;
  }
  stream_.expires_never();
  // What the answer depends on; the rest is the handler's.
  HttpRequest kept;
  kept.method = request.method;
  if (request.method == "GET" || request.method == "HEAD") kept.headers = request.headers;
  HttpResponse response;
  if (!co_await CallHandler(std::move(request), response)) co_return false;
  ApplyConditions(kept, response);
  // Of a body that was not read to its end, the rest is taken if it is short. A client that still waits for
  // leave to send it may do so or not: its next bytes could mean either.
  const bool is_short = !expects_continue_ && body_bytes_ <= max_body_bytes_;
  const bool can_go_on = !is_read_broken_ && (parser_->is_done() || is_short);
  const bool keep_alive = parser_->get().keep_alive() && !context_.is_stopping && can_go_on;
  if (!co_await WriteResponse(kept, response, keep_alive)) co_return false;
  if (parser_->is_done() || is_read_broken_) co_return keep_alive;
  if (keep_alive && co_await Drain()) co_return true;
  co_await Linger();
  co_return false;
}

asio::awaitable<bool> Session::WriteResponse(const HttpRequest& request, HttpResponse& response,
                                             bool keep_alive) {
  const bool is_head = request.method == "HEAD";
  std::string* text = std::get_if<std::string>(&response.body);
  FileRange* file = std::get_if<FileRange>(&response.body);
  std::optional<uint64_t> length;
  if (text != nullptr) length = text->size();
  if (file != nullptr) length = file->size;
  const bool is_chunked = !length && parser_->get().version() >= 11;
  // Without length and chunks the end of the body is the end of the connection.
  const bool stays = keep_alive && (length || is_chunked);
  const bool has_no_body = HasNoBody(response.status);
  if (has_no_body) length.reset();
  const std::string head = HeadOf(response, length, is_chunked && !has_no_body, stays);
  if (is_head || has_no_body) co_return co_await WriteBytes(head, {}) && stays;
  if (text != nullptr) co_return co_await WriteBytes(head, *text) && stays;
  if (!co_await WriteBytes(head, {})) co_return false;
  if (file != nullptr) co_return co_await WriteFile(*file) && stays;
  co_return co_await WriteSource(*std::get<std::unique_ptr<BodySource>>(response.body), is_chunked) && stays;
}

asio::awaitable<bool> Session::WriteFile(const FileRange& range) {
  const int fd = ::open(range.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) co_return false;
  std::string piece;
  uint64_t done = 0;
  bool is_good = true;
  while (is_good && done < range.size) {
    piece.resize(std::min<uint64_t>(kWriteBytes, range.size - done));
    const ssize_t n = ::pread(fd, piece.data(), piece.size(), static_cast<off_t>(range.offset + done));
    if (n < 0 && errno == EINTR) continue;
    // A file that shrank: the client must not take what it has for the whole.
    is_good = n > 0 && co_await WriteBytes(std::string_view(piece).substr(0, static_cast<size_t>(n)), {});
    if (n > 0) done += static_cast<uint64_t>(n);
  }
  ::close(fd);
  co_return is_good;
}

asio::awaitable<bool> Session::WriteSource(BodySource& source, bool is_chunked) {
  while (true) {
    std::string piece;
    bool failed = false;
    co_await OnPool([&] {
      try {
        auto next = source.Next();
        failed = !next.ok();
        if (next.ok()) piece = std::move(*next);
      } catch (...) {
        failed = true;
      }
    });
    if (failed) co_return false;
    if (piece.empty()) break;
    if (is_chunked) {
      const std::string size = fmt::format("{:x}\r\n", piece.size());
      piece += "\r\n";
      if (!co_await WriteBytes(size, piece)) co_return false;
    } else if (!co_await WriteBytes(piece, {})) {
      co_return false;
    }
  }
  const std::string_view last = is_chunked ? "0\r\n\r\n" : "";
  co_return co_await WriteBytes(last, {});
}

asio::awaitable<bool> Session::WriteBytes(std::string_view head, std::string_view bytes) {
  do {
    const std::string_view piece = bytes.substr(0, kWriteBytes);
    const std::array<asio::const_buffer, 2> buffers = {asio::buffer(head.data(), head.size()),
                                                       asio::buffer(piece.data(), piece.size())};
    error_code error;
    stream_.expires_after(context_.options.write_timeout);
    co_await asio::async_write(stream_, buffers, Into(error));
    if (error) co_return false;
    head = {};
    bytes.remove_prefix(piece.size());
  } while (!bytes.empty());
  co_return true;
}

asio::awaitable<void> Session::WriteError(int status, std::string text) {
  HttpResponse response = TextResponse(status, std::move(text));
  const std::string& body = std::get<std::string>(response.body);
  const std::string head = HeadOf(response, body.size(), false, false);
  if (co_await WriteBytes(head, body)) co_await Linger();
}

asio::awaitable<void> Session::Linger() {
  error_code error;
  stream_.socket().shutdown(asio::socket_base::shutdown_send, error);
  stream_.expires_after(kLingerTime);
  std::string discarded(kReadBytes, '\0');
  for (uint64_t total = 0; !error && total < 16 * kDrainBytes;) {
    total += co_await stream_.async_read_some(asio::buffer(discarded.data(), discarded.size()), Into(error));
  }
}

asio::awaitable<void> Session::OnPool(std::function<void()> work) {
  co_await asio::co_spawn(
      context_.pool.get_executor(),
      [](std::function<void()> run) -> asio::awaitable<void> {
        run();
        co_return;
      }(std::move(work)),
      asio::use_awaitable);
}

}  // namespace sluice::net

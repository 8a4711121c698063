#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <boost/beast/http/status.hpp>
#include <cerrno>
#include <charconv>

#include "net/http_session_internal.h"

// The half of a connection that answers.
namespace sluice::net {

namespace http = boost::beast::http;

namespace {

constexpr size_t kWriteBytes = 256 << 10;
constexpr size_t kJoinBytes = 16 << 10;
constexpr uint64_t kLingerBytes = 16 << 20;
constexpr std::chrono::seconds kLingerTime{2};

bool HasNoBody(int status) { return status < 200 || status == 204 || status == 304; }

std::string_view ReasonOf(int status) {
  const auto reason = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status)));
  return {reason.data(), reason.size()};
}

void AppendNumber(std::string& text, uint64_t number) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof(digits), number).ptr;
  text.append(digits, static_cast<size_t>(end - digits));
}

bool IsOurs(std::string_view name) {
  return EqualsIgnoringCase(name, "Content-Length") || EqualsIgnoringCase(name, "Transfer-Encoding") ||
         EqualsIgnoringCase(name, "Connection") || EqualsIgnoringCase(name, "Date");
}

// Status line and header. Length and connection are ours.
std::string HeadOf(const HttpResponse& response, std::optional<uint64_t> length, bool is_chunked,
                   bool keep_alive, std::string_view date) {
  std::string head;
  head.reserve(512);
  head += "HTTP/1.1 ";
  AppendNumber(head, static_cast<uint64_t>(response.status));
  head += ' ';
  head += ReasonOf(response.status);
  head += "\r\nDate: ";
  head += date;
  head += "\r\n";
  for (const auto& [name, value] : response.headers.fields()) {
    if (IsOurs(name) || !IsSafeField(name, value)) continue;
    head += name;
    head += ": ";
    head += value;
    head += "\r\n";
  }
  if (is_chunked) head += "Transfer-Encoding: chunked\r\n";
  if (length) {
    head += "Content-Length: ";
    AppendNumber(head, *length);
    head += "\r\n";
  }
  head += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  return head;
}

}  // namespace

Awaitable<bool> Session::Write(std::string_view head, std::string_view body) {
  while (!head.empty() || !body.empty()) {
    auto [bytes, next] = transport_.Write(head, body.substr(0, kWriteBytes));
    if (next == Transport::Next::kDone) {
      const size_t of_head = std::min(bytes, head.size());
      head.remove_prefix(of_head);
      body.remove_prefix(bytes - of_head);
      continue;
    }
    if (next == Transport::Next::kEnded || next == Transport::Next::kBroken) co_return false;
    SetTimeout(context_.options.write_timeout);
    if (!co_await WaitFor(next)) co_return false;
    loop_->ClearDeadline(*this);
  }
  co_return true;
}

Awaitable<bool> Session::Send(const Kept& kept, HttpResponse& response, uint64_t& body_bytes, bool& stays) {
  std::string* text = std::get_if<std::string>(&response.body);
  const FileRange* file = std::get_if<FileRange>(&response.body);
  std::optional<uint64_t> length;
  if (text != nullptr) length = text->size();
  if (file != nullptr) length = file->size;
  const bool has_no_body = HasNoBody(response.status);
  const bool is_chunked = !length && kept.is_http11 && !has_no_body;
  // Without length and chunks the end of the body is the end of the connection.
  stays = kept.keep_alive && (length || is_chunked || has_no_body);
  if (has_no_body) length.reset();
  std::string head = HeadOf(response, length, is_chunked, stays, loop_->HttpDate());
  if (has_no_body || kept.request.method == "HEAD") co_return co_await Write(head, {});
  if (text != nullptr) {
    body_bytes = text->size();
    if (text->size() > kJoinBytes) co_return co_await Write(head, *text);
    head += *text;
    co_return co_await Write(head, {});
  }
  if (!co_await Write(head, {})) co_return false;
  if (file != nullptr) co_return co_await SendFile(*file, body_bytes);
  co_return co_await SendSource(*std::get<std::unique_ptr<BodySource>>(response.body), is_chunked,
                                body_bytes);
}

Awaitable<bool> Session::SendFile(const FileRange& range, uint64_t& sent) {
  const int fd = ::open(range.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) co_return false;
  std::string piece;
  bool is_good = true;
  while (is_good && sent < range.size) {
    piece.resize(std::min<uint64_t>(kWriteBytes, range.size - sent));
    const ssize_t n = ::pread(fd, piece.data(), piece.size(), static_cast<off_t>(range.offset + sent));
    if (n < 0 && errno == EINTR) continue;
    // A file that shrank: the client must not take what it has for the whole.
    is_good = n > 0;
    if (!is_good) break;
    sent += static_cast<uint64_t>(n);
    is_good = co_await Write(std::string_view(piece).substr(0, static_cast<size_t>(n)), {});
  }
  ::close(fd);
  co_return is_good;
}

Awaitable<bool> Session::SendSource(BodySource& source, bool is_chunked, uint64_t& sent) {
  while (true) {
    std::string piece;
    bool has_failed = false;
    const auto call = std::make_shared<PoolCall>(loop_, [&source, &piece, &has_failed] {
      try {
        auto next = source.Next();
        has_failed = !next.ok();
        if (next.ok()) piece = std::move(*next);
      } catch (...) {
        has_failed = true;
      }
    });
    context_.pool.Push(call);
    co_await call->Done();
    if (has_failed || is_cut_) co_return false;
    if (piece.empty()) break;
    sent += piece.size();
    if (is_chunked) {
      const std::string size = fmt::format("{:x}\r\n", piece.size());
      piece += "\r\n";
      if (!co_await Write(size, piece)) co_return false;
    } else if (!co_await Write(piece, {})) {
      co_return false;
    }
  }
  co_return co_await Write(is_chunked ? "0\r\n\r\n" : "", {});
}

Awaitable<void> Session::Reject(HttpResponse response, const HttpRequest* request) {
  is_timed_out_ = false;
  HttpRequest unread;
  if (request == nullptr) {
    unread.peer = peer_.name;
    request = &unread;
  }
  context_.handler.OnRefusal(*request, response);
  const std::string& body = std::get<std::string>(response.body);
  std::string head = HeadOf(response, body.size(), false, false, loop_->HttpDate());
  if (request->method != "HEAD") head += body;
  const bool is_sent = co_await Write(head, {});
  LogAccess(*request, response, body.size(), is_sent);
  if (is_sent) co_await Linger();
}

Awaitable<void> Session::Refuse() {
  started_ = Clock::now();
  HttpResponse response = ProblemResponse(503, "too many connections");
  response.headers.Set("Retry-After", "1");
  if (!transport_.is_tls()) co_await Reject(std::move(response));
  boost::system::error_code ignored;
  socket_.close(ignored);
}

Awaitable<void> Session::Linger() {
  transport_.EndWriting();
  SetTimeout(kLingerTime);
  for (uint64_t total = 0; total < kLingerBytes;) {
    total += input_.view().size();
    input_.Consume(input_.view().size());
    if (!co_await Fill(kWriteBytes)) break;
  }
}

void Session::LogAccess(const HttpRequest& request, const HttpResponse& response, uint64_t body_bytes,
                        bool is_complete) {
  if (context_.options.on_access == nullptr) return;
  const AccessRecord record{
      .peer = peer_.name,
      .method = request.method,
      .target = request.target,
      .status = response.status,
      .request_bytes = parser_ ? parser_->body_bytes() : 0,
      .response_bytes = body_bytes,
      .took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - started_),
      .is_complete = is_complete,
      .request_headers = request.headers,
      .response_headers = response.headers};
  context_.options.on_access(record);
}

}  // namespace sluice::net

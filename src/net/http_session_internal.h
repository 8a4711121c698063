#pragma once

#include <atomic>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "base/shares.h"
#include "net/body_coding.h"
#include "net/http_server.h"
#include "net/io_loop_internal.h"
#include "net/request_parser_internal.h"
#include "net/response_slot_internal.h"
#include "net/transport_internal.h"

// One connection of the HTTP server. For http_server.cc alone.
namespace sluice::net {

// What all connections of a server share; outlives them.
struct SessionContext {
  HttpHandler& handler;
  const HttpServerOptions& options;
  ParserLimits limits;
  WorkerPool& pool;
  std::stop_token stop;
  const std::atomic<bool>& is_stopping;
  std::shared_ptr<Shares> budget;  // of all bodies in memory
};

struct Peer {
  std::string name;
  std::optional<uint32_t> user;
};

// Received bytes that nobody has used yet.
class InputBuffer {
 public:
  std::string_view view() const { return {data_.get() + begin_, end_ - begin_}; }
  bool is_empty() const { return begin_ == end_; }
  void Consume(size_t n) { begin_ += n; }
  // Room for more, at least one byte unless `max_bytes` are held already.
  std::pair<char*, size_t> Room(size_t max_bytes);
  void Commit(size_t n) { end_ += n; }
  // Gives the memory back when it is empty.
  void Release();

 private:
  std::unique_ptr<char[]> data_;
  size_t capacity_ = 0, begin_ = 0, end_ = 0;
};

// Reads requests one after another and answers each before the next is read. Confined to its loop's thread,
// where everything but handlers and body sources runs.
class Session final : public Deadlined {
 public:
  Session(std::shared_ptr<IoLoop> loop, int fd, int family, SslPointer ssl, Peer peer,
          const SessionContext& context);
  ~Session() override;

  // Serves until the connection ends. The session must live until then.
  Awaitable<void> Run();
  // Tells a client that there are too many connections, and ends.
  Awaitable<void> Refuse();
  void CloseIfIdle() {
    if (is_idle_) Cut();
  }
  // Ends as soon as no call of a handler uses the connection.
  void Cut();

  void OnDeadline() override;

 private:
  friend class StreamedBody;
  friend class PieceRead;
  using Clock = std::chrono::steady_clock;
  using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol, Executor>;

  // What is remembered of a request that went to the handler.
  struct Kept {
    HttpRequest request;  // method; headers and target where they are needed
    Clock::time_point since{};
    bool keep_alive = false;
    bool is_http11 = false;
  };

  // False when the connection is to be closed.
  Awaitable<bool> ServeOne();
  // The next request's first byte.
  Awaitable<bool> WaitForBytes();
  // These answer where an answer is due, and are false when there is nothing to hand to the handler.
  Awaitable<bool> ReadHead(HttpRequest& request);
  Awaitable<bool> ReadWholeBody(HttpRequest& request);
  // The next bytes of the body, or the error. Empty at the end.
  Awaitable<void> ReadPiece(std::string& piece, std::optional<Error>& error);
  // Takes what the handler left of the body. False when that is too much or fails.
  Awaitable<bool> Drain();
  // Has the handler answer, into the slot. False when the connection was cut before it did.
  Awaitable<bool> CallHandler(HttpRequest request, const BodyPlan& plan, BodyCoding coding);
  Awaitable<bool> Answer(Kept& kept, HttpResponse& response);

  Awaitable<bool> Send(const Kept& kept, HttpResponse& response, uint64_t& body_bytes, bool& stays);
  Awaitable<bool> SendFile(const FileRange& range, uint64_t& sent);
  Awaitable<bool> SendSource(BodySource& source, bool is_chunked, uint64_t& sent);
  // One answer of the server's own, after which the connection ends.
  Awaitable<void> Reject(HttpResponse response, const HttpRequest* request = nullptr);
  // Closes so that the client can still read the answer while it sends.
  Awaitable<void> Linger();
  void LogAccess(const HttpRequest& request, const HttpResponse& response, uint64_t body_bytes,
                 bool is_complete);

  Awaitable<bool> Handshake();
  // Waits for more input. False at its end; then is_timed_out_ or not.
  Awaitable<bool> Fill(size_t max_bytes);
  Awaitable<bool> Write(std::string_view head, std::string_view body);
  Awaitable<bool> WaitFor(Transport::Next next);
  void SetTimeout(std::chrono::milliseconds timeout);
  // False when it is known that nobody does.
  bool AskWhetherItWaits();

  const std::shared_ptr<IoLoop> loop_;
  const SessionContext& context_;
  const Peer peer_;
  Socket socket_;
  Transport transport_;
  InputBuffer input_;
  std::optional<RequestParser> parser_;
  std::shared_ptr<ResponseSlot> slot_;  // of the request that is being served
  Clock::time_point started_{};         // the request
  Clock::time_point body_started_{};
  bool expects_continue_ = false;
  bool is_read_broken_ = false;  // timed out, failed, or at the end: nothing more is read
  bool is_timed_out_ = false;
  bool has_ended_ = false;  // the client sends nothing more
  bool is_asked_ = false;   // within this request
  bool is_idle_ = false;
  bool is_probing_ = false;  // the deadline is a look whether the client is still there
  bool is_cut_ = false;
};

}  // namespace sluice::net

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/http_message.h"
#include "net/tls.h"

namespace sluice::net {

// How a request's body is to arrive, decided from its header.
struct BodyPlan {
  bool is_streamed = false;      // HttpRequest::stream instead of body
  uint64_t max_bytes = 1 << 20;  // as sent, and again when expanded
  // Whose request it is. Handlers are called for tenants by turns, and bodies in memory are shared among them
  // (base/shares.h), so that one tenant's flood does not hold up another.
  std::string tenant;
  // False: Serve never waits and is quick, so that it may be called where the request was read. Spares a
  // change of threads; a call that does wait holds up all other connections. Not for streamed bodies.
  bool may_block = true;
  // Serve takes some microseconds, as a rule: such calls that come at one time go to one handler thread, as
  // HttpHandler::ServeTogether. Not for streamed bodies.
  bool is_brief = false;
};

// Where the one answer to a request goes. Thread-safe.
class ResponseSink {
 public:
  virtual ~ResponseSink() = default;
  // Called once at most.
  virtual void Take(HttpResponse response) = 0;
  virtual bool is_client_gone() const { return false; }
};

// The right to answer one request, once, from any thread, also after Serve returned. Harmless when the client
// or the server is gone. Destroyed without an answer it answers 500. Thread-compatible.
class Responder {
 public:
  explicit Responder(std::shared_ptr<ResponseSink> sink) : sink_(std::move(sink)) {}
  Responder(Responder&&) noexcept = default;
  Responder& operator=(Responder&& other) noexcept;
  ~Responder();

  // Does not block. Only the first call counts.
  void Send(HttpResponse response);
  // Whether nobody waits for the answer any more: the connection broke or the server stopped. Not at once: a
  // client that vanished is noticed within some seconds. One that sends nothing more and still waits has not
  // gone; of HTTP/1.0, where the two cannot be told apart, none has.
  bool is_client_gone() const { return sink_ == nullptr || sink_->is_client_gone(); }

 private:
  std::shared_ptr<ResponseSink> sink_;  // null once answered
};

// Answers requests, on many threads at once. Must be thread-safe and outlive the server.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // Called on a thread of the server's own: must not block.
  virtual BodyPlan PlanBody(const HttpRequest& head) { return {}; }
  // Called on a handler thread, which is held until it returns; may block. The answer may be sent later, and
  // then holds no thread. `request.stream` is valid until Serve returns.
  virtual void Serve(HttpRequest request, Responder responder) { responder.Send(Handle(request)); }
  struct Pending {
    HttpRequest request;
    Responder responder;
  };
  // Serves the first of these brief calls of one tenant, or more of them; says how many. The others are then
  // served by whichever threads are free. Called as Serve, and with at least one.
  virtual size_t ServeTogether(std::vector<Pending>& calls) {
    Serve(std::move(calls[0].request), std::move(calls[0].responder));
    return 1;
  }
  // The answer at once, for handlers that do not override Serve.
  virtual HttpResponse Handle(HttpRequest& request);
  // Told of an answer that the server gives by itself, to add to it, before it is sent: to what was read of
  // the request, perhaps nothing. Must not block.
  virtual void OnRefusal(const HttpRequest& request, HttpResponse& response) {}
};

// Where to listen: a TCP address (port 0 = any free one), or a unix-domain socket when `unix_path` is given.
struct HttpEndpoint {
  std::string host = "127.0.0.1";
  uint16_t port = 0;
  std::string unix_path;
  uint32_t unix_mode = 0600;
  std::optional<TlsFiles> tls;  // read again when the files change

  // `http://127.0.0.1:4711`; empty for a socket of the file system.
  std::string url() const;
};

// An answered request, for a log.
struct AccessRecord {
  std::string_view peer;
  std::string_view method;
  std::string_view target;  // as received; empty, like method, when the request could not be read
  int status = 0;
  uint64_t request_bytes = 0;         // of the body, as sent
  uint64_t response_bytes = 0;        // of the body
  std::chrono::microseconds took{0};  // from the first byte of the request to the last of the answer
  bool is_complete = true;            // the answer went out as a whole
  const Headers& request_headers;
  const Headers& response_headers;
};

struct HttpServerOptions {
  int io_threads = 1;
  int handler_threads = 4;
  int max_connections = 8192;  // one more is answered 503
  uint32_t max_header_bytes = 64 << 10;
  uint32_t max_header_fields = 100;
  // Of all bodies that are in memory together, as sent and expanded; a request that needs more is answered
  // 503 with Retry-After.
  uint64_t max_buffered_bytes = 256 << 20;
  uint32_t max_expansion = 200;  // of a gzip or zstd body over 1 MiB: expanded bytes for each byte sent
  // A client that is slower gets 408.
  std::chrono::milliseconds header_timeout{10'000};  // from its first byte to its last
  std::chrono::milliseconds idle_timeout{60'000};    // between requests; then just closed
  std::chrono::milliseconds body_timeout{30'000};    // without a byte of the body
  uint32_t min_body_bytes_per_second = 100;          // on average, after body_timeout
  std::chrono::milliseconds write_timeout{30'000};   // for each piece of at most 256 KiB
  // Called on the server's threads, must not block; null = none.
  std::function<void(const AccessRecord&)> on_access;
  // Something that an operator should know: a new certificate taken, or refused. null = none.
  std::function<void(const std::string&)> on_notice;
};

// An HTTP/1.1 server: keep-alive, pipelining, HEAD, single ranges, entity tags, chunked bodies both ways,
// Expect, TLS, gzip and zstd bodies (expanded for the handler, which no longer sees Content-Encoding). What
// it refuses by itself is answered with ProblemResponse. Accepting, reading and writing never wait for a
// handler; a slow client costs a connection, not a thread, and so does a request that waits for its answer.
// The requests of a connection are answered in their order, one after another. Destroying stops at once.
// Thread-safe.
class HttpServer {
 public:
  virtual ~HttpServer() = default;

  // Listens when it returns. Errors: kInvalidArgument for an address that is none; kUnavailable when it is
  // taken (also a unix-domain socket that somebody answers; one that nobody answers is replaced);
  // kPermissionDenied; those of TlsContext::Load.
  static Result<std::unique_ptr<HttpServer>> Start(const std::vector<HttpEndpoint>& endpoints,
                                                   HttpHandler& handler,
                                                   const HttpServerOptions& options = {});

  // With the ports that were found, in the order given.
  virtual const std::vector<HttpEndpoint>& endpoints() const = 0;
  // `http://127.0.0.1:4711` of the first TCP endpoint; empty when there is none.
  virtual std::string url() const = 0;
  virtual int connections() const = 0;

  // Listens no more, closes idle connections, lets running requests end within `grace`, then cuts them. Waits
  // for calls of handlers to return, not for answers. May be repeated.
  virtual void Stop(std::chrono::milliseconds grace) = 0;
};

}  // namespace sluice::net

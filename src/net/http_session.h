#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "base/mutex.h"
#include "net/http_server.h"

// One connection of the HTTP server. For http_server.cc alone: the only header of ours that shows Boost.
namespace sluice::net {

class Gate;

// What all connections of a server share; outlives them.
struct SessionContext {
  HttpHandler& handler;
  const HttpServerOptions& options;
  boost::asio::thread_pool& pool;
  std::stop_token stop;
  const std::atomic<bool>& is_stopping;
  std::shared_ptr<Gate> gate;
};

// Open while the server's executors can be posted to. Thread-safe.
class Gate {
 public:
  // False, and nothing done, once closed.
  bool Post(const boost::asio::any_io_executor& executor, std::function<void()> work) EXCLUDES(mutex_);
  void Close() EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  bool is_open_ GUARDED_BY(mutex_) = true;
};

class ResponseSlot;

struct Peer {
  std::string name;
  std::optional<uint32_t> user;
};

// Reads requests one after another and answers each before the next is read. Everything but handlers and body
// sources runs on the connection's own strand.
class Session {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;

  Session(Socket socket, Peer peer, const SessionContext& context)
      : context_(context), peer_(std::move(peer)), stream_(std::move(socket)) {}

  // Serves until the connection ends. The session must live until then.
  boost::asio::awaitable<void> Run();
  // Tells a client that there are too many connections, and ends.
  boost::asio::awaitable<void> Refuse();

  boost::asio::any_io_executor executor() { return stream_.get_executor(); }
  // To be called on executor().
  void CloseIfIdle() {
    if (is_idle_) stream_.close();
  }
  void Cut();

 private:
  friend class StreamedBody;
  using Parser = boost::beast::http::request_parser<boost::beast::http::buffer_body>;
  template <class T>
  using Awaitable = boost::asio::awaitable<T>;

  // False when the connection is to be closed.
  Awaitable<bool> ServeOne();
  // Has the handler answer. False when the connection was cut before it did.
  Awaitable<bool> CallHandler(HttpRequest request, HttpResponse& response);
  Awaitable<bool> WaitForBytes();
  // False when no request came; an answer was given where one is due.
  Awaitable<bool> ReadHead(HttpRequest& request);
  Awaitable<bool> ReadWholeBody(HttpRequest& request);
  // The next bytes of the body, or the error. Empty at the end.
  Awaitable<void> ReadPiece(std::string& piece, std::optional<Error>& error);
  // Takes what the handler left of the body. False when that is too much or fails.
  Awaitable<bool> Drain();
  Awaitable<bool> WriteResponse(const HttpRequest& request, HttpResponse& response, bool keep_alive);
  Awaitable<bool> WriteFile(const FileRange& range);
  Awaitable<bool> WriteSource(BodySource& source, bool is_chunked);
  Awaitable<bool> WriteBytes(std::string_view head, std::string_view bytes);
  Awaitable<void> WriteError(int status, std::string text);
  // Closes so that the client can still read the answer while it sends.
  Awaitable<void> Linger();
  // Runs `work` on a handler thread and comes back.
  Awaitable<void> OnPool(std::function<void()> work);

  const SessionContext& context_;
  const Peer peer_;
  boost::beast::basic_stream<boost::asio::generic::stream_protocol> stream_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  uint64_t body_bytes_ = 0;
  uint64_t max_body_bytes_ = 0;
  bool expects_continue_ = false;
  bool is_read_broken_ = false;  // timed out, failed, or at the end: nothing more is read
  bool is_idle_ = false;
  bool is_cut_ = false;
  std::shared_ptr<ResponseSlot> slot_;  // of the request that waits for its answer
};

}  // namespace sluice::net

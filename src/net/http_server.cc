#include "net/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <cerrno>

#include "base/mutex.h"
#include "net/http_session_internal.h"
#include "net/listen_internal.h"

namespace sluice::net {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// A client that comes when there are too many is told so; when there are this many more it is just cut off.
constexpr int kRefusedConnections = 256;

Peer PeerOf(int fd, const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
    return {fmt::format("{}:{}", text, ntohs(v4.sin_port)), std::nullopt};
  }
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
    return {fmt::format("[{}]:{}", text, ntohs(v6.sin6_port)), std::nullopt};
  }
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) return {"unix", {}};
  return {"unix", credentials.uid};
}

struct Listener {
  HttpEndpoint endpoint;
  std::unique_ptr<TlsContext> tls;
  asio::posix::basic_stream_descriptor<Executor> socket;
};

class Server final : public HttpServer {
 public:
  Server(HttpHandler& handler, const HttpServerOptions& options)
      : options_(options),
        pool_(options.handler_threads),
        context_{
            handler,           options_,     {options.max_header_bytes, options.max_header_fields}, pool_,
            stop_.get_token(), is_stopping_, std::make_shared<Shares>(options.max_buffered_bytes)} {
    for (int i = 0; i < std::max(1, options.io_threads); ++i) loops_.push_back(std::make_shared<IoLoop>());
  }
  ~Server() override { Stop(std::chrono::milliseconds(0)); }

  Status AddEndpoint(HttpEndpoint endpoint) {
    std::unique_ptr<TlsContext> tls;
    if (endpoint.tls) {
      ASSIGN_OR_RETURN(tls, TlsContext::Load(*endpoint.tls));
    }
    ASSIGN_OR_RETURN(OwnedSocket socket, Listen(endpoint));
    asio::posix::basic_stream_descriptor<Executor> descriptor(loops_[0]->context().get_executor(),
                                                              socket.fd());
    socket.Release();
    endpoints_.push_back(endpoint);
    listeners_.push_back(
        std::make_unique<Listener>(std::move(endpoint), std::move(tls), std::move(descriptor)));
    return {};
  }

  void Run() {
    for (auto& listener : listeners_)
      asio::co_spawn(loops_[0]->context(), Accept(*listener), [](std::exception_ptr) {});
    for (auto& loop : loops_) loop->Start();
    is_running_ = true;
  }

  const std::vector<HttpEndpoint>& endpoints() const override { return endpoints_; }

  std::string url() const override {
    for (const HttpEndpoint& endpoint : endpoints_)
      if (auto url = endpoint.url(); !url.empty()) return url;
    return {};
  }

  int connections() const override {
    MutexLock lock(mutex_);
    return sessions_;
  }

  void Stop(std::chrono::milliseconds grace) override;

 private:
  Awaitable<void> Accept(Listener& listener);
  // False when there are no descriptors left.
  bool AcceptWaiting(Listener& listener);
  void StartSession(int fd, const sockaddr_storage& address, Listener& listener);
  void CloseListeners();
  void ForEachSession(void (Session::*call)());
  void SessionEnded();
  void Notify(const std::string& notice) const {
    if (options_.on_notice) options_.on_notice(notice);
  }

  const HttpServerOptions options_;
  std::vector<HttpEndpoint> endpoints_;
  std::stop_source stop_;
  std::atomic<bool> is_stopping_ = false;
  bool is_running_ = false;
  WorkerPool pool_;
  const SessionContext context_;
  std::vector<std::shared_ptr<IoLoop>> loops_;  // the first one accepts
  std::vector<std::unique_ptr<Listener>> listeners_;
  size_t next_loop_ = 0;

  Mutex stop_mutex_;  // one Stop at a time
  mutable Mutex mutex_;
  CondVar changed_;
  int sessions_ GUARDED_BY(mutex_) = 0;
};

// A function to be run on a loop.
class LoopCall final : public Work {
 public:
  explicit LoopCall(std::function<void()> call) : call_(std::move(call)) {}
  void Run() override { call_(); }

 private:
  const std::function<void()> call_;
};

Awaitable<void> Server::Accept(Listener& listener) {
  using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                           asio::wait_traits<std::chrono::steady_clock>, Executor>;
  while (!is_stopping_) {
    error_code error;
    co_await listener.socket.async_wait(asio::posix::descriptor_base::wait_read,
                                        asio::redirect_error(kAwait, error));
    if (error || is_stopping_) co_return;
    if (listener.tls != nullptr) {
      const auto refreshed = listener.tls->Refresh();
      if (!refreshed.ok()) {
        Notify("the changed certificate is not used: " + refreshed.error().ToString());
      } else if (*refreshed) {
        Notify(fmt::format("took the new certificate '{}'", listener.endpoint.tls->certificate));
      }
    }
    if (AcceptWaiting(listener)) continue;
    // Not worth spinning for.
    Timer pause(loops_[0]->context().get_executor(), std::chrono::milliseconds(20));
    co_await pause.async_wait(asio::redirect_error(kAwait, error));
  }
}

bool Server::AcceptWaiting(Listener& listener) {
  while (!is_stopping_) {
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    const int fd = ::accept4(listener.socket.native_handle(), reinterpret_cast<sockaddr*>(&address), &size,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      StartSession(fd, address, listener);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return true;
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      return false;
    }  // else a client that gave up
  }
  return true;
}

void Server::StartSession(int fd, const sockaddr_storage& address, Listener& listener) {
  OwnedSocket socket(fd);
  SslPointer ssl;
  if (listener.tls != nullptr) {
    ssl = NewServerSsl(*listener.tls, fd);
    if (ssl == nullptr) return;
  }
  const int family = listener.endpoint.unix_path.empty() ? address.ss_family : AF_UNIX;
  const int on = 1;
  if (family != AF_UNIX) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  bool is_refused = false;
  {
    MutexLock lock(mutex_);
    if (sessions_ >= options_.max_connections + kRefusedConnections) return;
    is_refused = sessions_ >= options_.max_connections;
    ++sessions_;
  }
  std::shared_ptr<IoLoop> loop = loops_[next_loop_++ % loops_.size()];
  // The socket is the session's from here on; both are made where they will live.
  auto start = [this, loop, fd = socket.Release(), family, peer = PeerOf(fd, address),
                held = std::make_shared<SslPointer>(std::move(ssl)), is_refused] {
    auto session = std::make_shared<Session>(loop, fd, family, std::move(*held), peer, context_);
    if (is_stopping_) session->Cut();
    asio::co_spawn(loop->context(), is_refused ? session->Refuse() : session->Run(),
                   [this, session](std::exception_ptr) mutable {
                     session.reset();
                     SessionEnded();
                   });
  };
  if (loop->is_here()) {
    start();
  } else {
    loop->Post(std::make_shared<LoopCall>(std::move(start)));
  }
}

void Server::SessionEnded() {
  MutexLock lock(mutex_);
  --sessions_;
  if (is_stopping_) changed_.NotifyAll();
}

void Server::CloseListeners() {
  loops_[0]->Post(std::make_shared<LoopCall>([this] {
    error_code ignored;
    for (auto& listener : listeners_) listener->socket.close(ignored);
  }));
  for (const HttpEndpoint& endpoint : endpoints_) {
    if (!endpoint.unix_path.empty()) ::unlink(endpoint.unix_path.c_str());
  }
}

void Server::ForEachSession(void (Session::*call)()) {
  for (const auto& loop : loops_) {
    loop->Post(std::make_shared<LoopCall>([loop = loop.get(), call] {
      loop->ForEach([call](Deadlined& item) { (static_cast<Session&>(item).*call)(); });
    }));
  }
}

void Server::Stop(std::chrono::milliseconds grace) {
  MutexLock only(stop_mutex_);
  if (is_stopping_) return;
  is_stopping_ = true;
  stop_.request_stop();
  if (!is_running_) return;
  CloseListeners();
  ForEachSession(&Session::CloseIfIdle);
  const auto all_gone = [this]() NO_THREAD_SAFETY_ANALYSIS { return sessions_ == 0; };
  bool is_over = false;
  while (!is_over) {
    {
      MutexLock lock(mutex_);
      is_over = changed_.WaitFor(mutex_, grace, all_gone);
    }
    // Also those that were being accepted meanwhile. Streamed bodies are waited for.
    if (!is_over) ForEachSession(&Session::Cut);
    grace = std::chrono::milliseconds(50);
  }
  pool_.Join();
  for (const auto& loop : loops_) loop->Join();
}

}  // namespace

std::string HttpEndpoint::url() const {
  if (!unix_path.empty()) return {};
  const bool is_v6 = host.find(':') != std::string::npos;
  return fmt::format("{}://{}:{}", tls ? "https" : "http", is_v6 ? "[" + host + "]" : host, port);
}

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const std::vector<HttpEndpoint>& endpoints,
                                                      HttpHandler& handler,
                                                      const HttpServerOptions& options) {
  if (endpoints.empty()) return InvalidArgument("no address to listen on");
  try {
    auto server = std::make_unique<Server>(handler, options);
    for (const HttpEndpoint& endpoint : endpoints) RETURN_IF_ERROR(server->AddEndpoint(endpoint));
    server->Run();
    return std::unique_ptr<HttpServer>(std::move(server));
  } catch (const std::exception& e) {
    return MakeError(ErrorCode::kUnavailable, "cannot start the HTTP server: {}", e.what());
  }
}

}  // namespace sluice::net

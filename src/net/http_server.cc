#include "net/http_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <set>
#include <thread>

#include "base/mutex.h"
#include "net/http_session.h"

namespace sluice::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Unix = asio::local::stream_protocol;

// A socket that listens; closed unless released.
struct Listening {
  explicit Listening(int fd) : fd(fd) {}
  Listening(Listening&& other) noexcept : fd(std::exchange(other.fd, -1)) {}
  Listening& operator=(Listening&&) = delete;
  ~Listening() {
    if (fd >= 0) ::close(fd);
  }
  int Release() { return std::exchange(fd, -1); }
  int fd;
};

Error ListenError(int error, const std::string& where) {
  const std::string what = fmt::format("cannot listen on '{}'", where);
  if (error == EADDRINUSE) return MakeError(ErrorCode::kUnavailable, "{}: address already in use", what);
  return FromErrno(error, what);
}

Status BindAndListen(int fd, const sockaddr* address, socklen_t size, const std::string& where) {
  if (::bind(fd, address, size) < 0 || ::listen(fd, SOMAXCONN) < 0) return ListenError(errno, where);
  return {};
}

// Fills in the port that was found.
Result<Listening> ListenTcp(HttpEndpoint& endpoint) {
  sockaddr_storage address{};
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
  socklen_t size = 0;
  if (::inet_pton(AF_INET, endpoint.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(endpoint.port);
    size = sizeof(*v4);
  } else if (::inet_pton(AF_INET6, endpoint.host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(endpoint.port);
    size = sizeof(*v6);
  } else {
    return InvalidArgument("'{}' is not an IP address to listen on", endpoint.host);
  }
  const std::string where = fmt::format("{}:{}", endpoint.host, endpoint.port);
  Listening socket(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.fd < 0) return ListenError(errno, where);
  const int on = 1;
  ::setsockopt(socket.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  RETURN_IF_ERROR(BindAndListen(socket.fd, reinterpret_cast<sockaddr*>(&address), size, where));
  if (::getsockname(socket.fd, reinterpret_cast<sockaddr*>(&address), &size) < 0)
    return ListenError(errno, where);
  endpoint.port = ntohs(address.ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
  return socket;
}

// Removes a socket's name that a dead process left. Errors: kUnavailable when somebody answers.
Status ClearUnixPath(const std::string& path, const sockaddr_un& address) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) < 0) return {};
  if (!S_ISSOCK(info.st_mode)) return InvalidArgument("'{}' is there and is not a socket", path);
  Listening probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (probe.fd < 0) return ListenError(errno, path);
  if (::connect(probe.fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return ListenError(EADDRINUSE, path);
  }
  if (errno != ECONNREFUSED) return ListenError(errno, path);
  ::unlink(path.c_str());
  return {};
}

Result<Listening> ListenUnix(const HttpEndpoint& endpoint) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (endpoint.unix_path.size() >= sizeof(address.sun_path)) {
    return InvalidArgument("socket path '{}' is longer than {} bytes", endpoint.unix_path,
                           sizeof(address.sun_path) - 1);
  }
  std::memcpy(address.sun_path, endpoint.unix_path.c_str(), endpoint.unix_path.size() + 1);
  RETURN_IF_ERROR(ClearUnixPath(endpoint.unix_path, address));
  Listening socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.fd < 0) return ListenError(errno, endpoint.unix_path);
  // On the socket before it has a name: there is no moment at which others could connect.
  if (::fchmod(socket.fd, endpoint.unix_mode) < 0) return ListenError(errno, endpoint.unix_path);
  RETURN_IF_ERROR(
      BindAndListen(socket.fd, reinterpret_cast<sockaddr*>(&address), sizeof(address), endpoint.unix_path));
  return socket;
}

template <class Socket>
Peer PeerOf(Socket& socket) {
  error_code error;
  if constexpr (std::is_same_v<typename Socket::protocol_type, tcp>) {
    socket.set_option(tcp::no_delay(true), error);
    const auto remote = socket.remote_endpoint(error);
    return {fmt::format("{}:{}", remote.address().to_string(), remote.port()), std::nullopt};
  } else {
    ucred credentials{};
    socklen_t size = sizeof(credentials);
    if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
      return {"unix", {}};
    return {"unix", credentials.uid};
  }
}

class Server final : public HttpServer {
 public:
  Server(HttpHandler& handler, const HttpServerOptions& options)
      : options_(options),
        io_(std::max(1, options.io_threads)),
        work_(asio::make_work_guard(io_)),
        accept_strand_(asio::make_strand(io_)),
        pool_(static_cast<size_t>(std::max(1, options.handler_threads))),
        context_{handler, options_, pool_, stop_.get_token(), is_stopping_, gate_} {}
  ~Server() override { Stop(std::chrono::milliseconds(0)); }

  Status Listen(HttpEndpoint endpoint) {
    if (endpoint.unix_path.empty()) {
      ASSIGN_OR_RETURN(Listening socket, ListenTcp(endpoint));
      const tcp protocol = endpoint.host.find(':') == std::string::npos ? tcp::v4() : tcp::v6();
      tcp_acceptors_.push_back(std::make_unique<tcp::acceptor>(io_, protocol, socket.Release()));
    } else {
      ASSIGN_OR_RETURN(Listening socket, ListenUnix(endpoint));
      unix_acceptors_.push_back(std::make_unique<Unix::acceptor>(io_, Unix(), socket.Release()));
    }
    endpoints_.push_back(std::move(endpoint));
    return {};
  }

  void Run() {
    for (auto& acceptor : tcp_acceptors_)
      asio::co_spawn(accept_strand_, Accept(*acceptor), [](std::exception_ptr) {});
    for (auto& acceptor : unix_acceptors_)
      asio::co_spawn(accept_strand_, Accept(*acceptor), [](std::exception_ptr) {});
    for (int i = 0; i < std::max(1, options_.io_threads); ++i) {
      threads_.emplace_back([this] { io_.run(); });
    }
  }

  const std::vector<HttpEndpoint>& endpoints() const override { return endpoints_; }

  std::string url() const override {
    for (const HttpEndpoint& endpoint : endpoints_) {
      if (!endpoint.unix_path.empty()) continue;
      const bool is_v6 = endpoint.host.find(':') != std::string::npos;
      return fmt::format("http://{}:{}", is_v6 ? "[" + endpoint.host + "]" : endpoint.host, endpoint.port);
    }
    return {};
  }

  int connections() const override {
    MutexLock lock(mutex_);
    return static_cast<int>(sessions_.size());
  }

  void Stop(std::chrono::milliseconds grace) override;

 private:
  template <class Acceptor>
  asio::awaitable<void> Accept(Acceptor& acceptor);
  template <class Socket>
  void StartSession(Socket socket);
  void CloseAcceptors();
  void ForEachSession(void (Session::*call)());

  const HttpServerOptions options_;
  std::vector<HttpEndpoint> endpoints_;
  std::stop_source stop_;
  std::atomic<bool> is_stopping_ = false;
  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  asio::strand<asio::io_context::executor_type> accept_strand_;
  asio::thread_pool pool_;
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  const SessionContext context_;
  std::vector<std::unique_ptr<tcp::acceptor>> tcp_acceptors_;
  std::vector<std::unique_ptr<Unix::acceptor>> unix_acceptors_;
  std::vector<std::jthread> threads_;

  Mutex stop_mutex_;  // one Stop at a time
  mutable Mutex mutex_;
  CondVar changed_;
  std::set<std::shared_ptr<Session>> sessions_ GUARDED_BY(mutex_);
};

template <class Acceptor>
asio::awaitable<void> Server::Accept(Acceptor& acceptor) {
  while (!is_stopping_) {
    error_code error;
    const asio::any_io_executor strand = asio::make_strand(io_);
    auto socket = co_await acceptor.async_accept(strand, asio::redirect_error(asio::use_awaitable, error));
    if (!error) {
      StartSession(std::move(socket));
    } else if (error == asio::error::operation_aborted || !acceptor.is_open()) {
      co_return;
    } else {
      // Out of descriptors, or a client that gave up: not worth spinning for.
      asio::steady_timer pause(io_, std::chrono::milliseconds(20));
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
    }
  }
}

template <class Socket>
void Server::StartSession(Socket socket) {
  Peer peer = PeerOf(socket);
  auto session = std::make_shared<Session>(Session::Socket(std::move(socket)), std::move(peer), context_);
  bool is_refused = false;
  {
    MutexLock lock(mutex_);
    is_refused = static_cast<int>(sessions_.size()) >= options_.max_connections;
    sessions_.insert(session);
  }
  asio::co_spawn(session->executor(), is_refused ? session->Refuse() : session->Run(),
                 [this, session](std::exception_ptr) {
                   MutexLock lock(mutex_);
                   sessions_.erase(session);
                   changed_.NotifyAll();
                 });
}

void Server::CloseAcceptors() {
  // On their own strand: they are not thread-safe.
  asio::post(accept_strand_, [this] {
    error_code ignored;
    for (auto& acceptor : tcp_acceptors_) acceptor->close(ignored);
    for (auto& acceptor : unix_acceptors_) acceptor->close(ignored);
  });
  for (const HttpEndpoint& endpoint : endpoints_) {
    if (!endpoint.unix_path.empty()) ::unlink(endpoint.unix_path.c_str());
  }
}

void Server::ForEachSession(void (Session::*call)()) {
  MutexLock lock(mutex_);
  for (const std::shared_ptr<Session>& session : sessions_) {
    asio::post(session->executor(), [session, call] { (*session.*call)(); });
  }
}

void Server::Stop(std::chrono::milliseconds grace) {
  MutexLock only(stop_mutex_);
  if (is_stopping_) return;
  is_stopping_ = true;
  stop_.request_stop();
  CloseAcceptors();
  ForEachSession(&Session::CloseIfIdle);
  const auto all_gone = [this]() NO_THREAD_SAFETY_ANALYSIS { return sessions_.empty(); };
  bool is_over = threads_.empty();
  while (!is_over) {
    {
      MutexLock lock(mutex_);
      is_over = changed_.WaitFor(mutex_, grace, all_gone);
    }
    // Also those that were being accepted meanwhile. Handlers have been told, and are waited for.
    if (!is_over) ForEachSession(&Session::Cut);
    grace = std::chrono::milliseconds(50);
  }
  pool_.join();
  gate_->Close();
  work_.reset();
  threads_.clear();
}

}  // namespace

Responder& Responder::operator=(Responder&& other) noexcept {
  if (this != &other) {
    if (sink_ != nullptr) Responder dropped(std::move(sink_));
    sink_ = std::move(other.sink_);
  }
  return *this;
}

Responder::~Responder() {
  if (sink_ != nullptr) Send(TextResponse(500, "the request was dropped without an answer\n"));
}

void Responder::Send(HttpResponse response) {
  if (const auto sink = std::exchange(sink_, nullptr); sink != nullptr) sink->Take(std::move(response));
}

HttpResponse HttpHandler::Handle(HttpRequest&) { return TextResponse(500, "nothing answers here\n"); }

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const std::vector<HttpEndpoint>& endpoints,
                                                      HttpHandler& handler,
                                                      const HttpServerOptions& options) {
  if (endpoints.empty()) return InvalidArgument("no address to listen on");
  try {
    auto server = std::make_unique<Server>(handler, options);
    for (const HttpEndpoint& endpoint : endpoints) RETURN_IF_ERROR(server->Listen(endpoint));
    server->Run();
    return std::unique_ptr<HttpServer>(std::move(server));
  } catch (const std::exception& e) {
    return MakeError(ErrorCode::kUnavailable, "cannot start the HTTP server: {}", e.what());
  }
}

}  // namespace sluice::net

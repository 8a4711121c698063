#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "net/listen_internal.h"

namespace sluice::net {
namespace {

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
Result<OwnedSocket> ListenTcp(HttpEndpoint& endpoint) {
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
  OwnedSocket socket(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.fd() < 0) return ListenError(errno, where);
  const int on = 1;
  ::setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  RETURN_IF_ERROR(BindAndListen(socket.fd(), reinterpret_cast<sockaddr*>(&address), size, where));
  if (::getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&address), &size) < 0)
    return ListenError(errno, where);
  endpoint.port = ntohs(address.ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
  return socket;
}

// Removes a socket's name that a dead process left. Errors: kUnavailable when somebody answers.
Status ClearUnixPath(const std::string& path, const sockaddr_un& address) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) < 0) return {};
  if (!S_ISSOCK(info.st_mode)) return InvalidArgument("'{}' is there and is not a socket", path);
  OwnedSocket probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (probe.fd() < 0) return ListenError(errno, path);
  if (::connect(probe.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return ListenError(EADDRINUSE, path);
  }
  if (errno != ECONNREFUSED) return ListenError(errno, path);
  ::unlink(path.c_str());
  return {};
}

Result<OwnedSocket> ListenUnix(const HttpEndpoint& endpoint) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (endpoint.unix_path.size() >= sizeof(address.sun_path)) {
    return InvalidArgument("socket path '{}' is longer than {} bytes", endpoint.unix_path,
                           sizeof(address.sun_path) - 1);
  }
  std::memcpy(address.sun_path, endpoint.unix_path.c_str(), endpoint.unix_path.size() + 1);
  RETURN_IF_ERROR(ClearUnixPath(endpoint.unix_path, address));
  OwnedSocket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.fd() < 0) return ListenError(errno, endpoint.unix_path);
  // On the socket before it has a name: there is no moment at which others could connect.
  if (::fchmod(socket.fd(), endpoint.unix_mode) < 0) return ListenError(errno, endpoint.unix_path);
  RETURN_IF_ERROR(
      BindAndListen(socket.fd(), reinterpret_cast<sockaddr*>(&address), sizeof(address), endpoint.unix_path));
  return socket;
}

}  // namespace

OwnedSocket::~OwnedSocket() {
  if (fd_ >= 0) ::close(fd_);
}

Result<OwnedSocket> Listen(HttpEndpoint& endpoint) {
  return endpoint.unix_path.empty() ? ListenTcp(endpoint) : ListenUnix(endpoint);
}

}  // namespace sluice::net

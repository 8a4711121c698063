#include "net/testing/raw_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

namespace sluice::net {

RawClient::RawClient(const HttpEndpoint& endpoint) {
  sockaddr_storage address{};
  socklen_t size = 0;
  if (endpoint.unix_path.empty()) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(endpoint.port);
    inet_pton(AF_INET, endpoint.host.c_str(), &v4->sin_addr);
    size = sizeof(*v4);
  } else {
    auto* local = reinterpret_cast<sockaddr_un*>(&address);
    local->sun_family = AF_UNIX;
    endpoint.unix_path.copy(local->sun_path, sizeof(local->sun_path) - 1);
    size = sizeof(*local);
  }
  fd_ = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{10, 0};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), size) < 0) {
    close(fd_);
    fd_ = -1;
  }
}

RawClient::~RawClient() {
  if (fd_ >= 0) close(fd_);
}

void RawClient::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

void RawClient::EndSending() { shutdown(fd_, SHUT_WR); }

std::string RawClient::ReadUntil(std::string_view mark) {
  size_t found = 0;
  while ((found = buffer_.find(mark)) == std::string::npos) {
    char bytes[16384];
    const ssize_t n = recv(fd_, bytes, sizeof(bytes), 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::exchange(buffer_, {}) + "(timeout)";
    if (n <= 0) return std::exchange(buffer_, {});
    buffer_.append(bytes, static_cast<size_t>(n));
  }
  const std::string read = buffer_.substr(0, found + mark.size());
  buffer_.erase(0, read.size());
  return read;
}

std::string RawClient::ReadAll() { return ReadUntil(std::string_view("\0no such mark\0", 14)); }

}  // namespace sluice::net

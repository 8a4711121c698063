#pragma once

#include <string>
#include <utility>

#include "net/http_server.h"

namespace sluice::net {

// A socket of ours; closed unless released.
class OwnedSocket {
 public:
  explicit OwnedSocket(int fd) : fd_(fd) {}
  OwnedSocket(OwnedSocket&& other) noexcept : fd_(other.Release()) {}
  OwnedSocket& operator=(OwnedSocket&&) = delete;
  ~OwnedSocket();
  int fd() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// Listens, without blocking, and fills in the port that was found. Errors: see HttpServer::Start.
Result<OwnedSocket> Listen(HttpEndpoint& endpoint);

}  // namespace sluice::net

#include <openssl/err.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "net/transport_internal.h"

namespace sluice::net {
namespace {

Transport::Outcome SocketOutcome(ssize_t n, Transport::Next when_blocked) {
  if (n > 0) return {static_cast<size_t>(n), Transport::Next::kDone};
  if (n == 0) return {0, Transport::Next::kEnded};
  const bool is_blocked = errno == EAGAIN || errno == EWOULDBLOCK;
  return {0, is_blocked ? when_blocked : Transport::Next::kBroken};
}

}  // namespace

Transport::Outcome Transport::SslOutcome(int result) {
  if (result > 0) return {static_cast<size_t>(result), Next::kDone};
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return {0, Next::kWaitToRead};
    case SSL_ERROR_WANT_WRITE:
      return {0, Next::kWaitToWrite};
    case SSL_ERROR_ZERO_RETURN:
      return {0, Next::kEnded};
    default:
      ERR_clear_error();
      return {0, Next::kBroken};
  }
}

Transport::Outcome Transport::Handshake() {
  if (ssl_ == nullptr) return {};
  ERR_clear_error();
  return SslOutcome(SSL_accept(ssl_.get()));
}

Transport::Outcome Transport::Read(char* data, size_t size) {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    return SslOutcome(SSL_read(ssl_.get(), data, static_cast<int>(std::min<size_t>(size, 1 << 30))));
  }
  ssize_t n = 0;
  do {
    n = ::recv(fd_, data, size, 0);
  } while (n < 0 && errno == EINTR);
  return SocketOutcome(n, Next::kWaitToRead);
}

Transport::Outcome Transport::Write(std::string_view head, std::string_view body) {
  if (head.empty() && body.empty()) return {};
  if (ssl_ != nullptr) {
    const std::string_view first = head.empty() ? body : head;
    ERR_clear_error();
    return SslOutcome(
        SSL_write(ssl_.get(), first.data(), static_cast<int>(std::min<size_t>(first.size(), 1 << 30))));
  }
  iovec parts[2] = {{const_cast<char*>(head.data()), head.size()},
                    {const_cast<char*>(body.data()), body.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = body.empty() ? 1 : 2;
  ssize_t n = 0;
  do {
    n = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  return SocketOutcome(n, Next::kWaitToWrite);
}

void Transport::EndWriting() {
  if (ssl_ != nullptr && SSL_is_init_finished(ssl_.get())) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
  ::shutdown(fd_, SHUT_WR);
}

}  // namespace sluice::net

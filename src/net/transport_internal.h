#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string_view>

#include "net/tls.h"

namespace sluice::net {

struct SslDeleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using SslPointer = std::unique_ptr<SSL, SslDeleter>;

// One more connection's state for a socket that does not block; null when out of memory. Thread-safe.
SslPointer NewServerSsl(TlsContext& context, int fd);

// Bytes in and out of a socket that does not block, in the clear or through TLS. Never waits: says what to
// wait for. Does not own the socket. Confined.
class Transport {
 public:
  enum class Next {
    kDone,
    kWaitToRead,
    kWaitToWrite,
    kEnded,   // the other side sends no more
    kBroken,  // nothing more in either direction
  };
  struct Outcome {
    size_t bytes = 0;
    Next next = Next::kDone;
  };

  Transport(int fd, SslPointer ssl) : fd_(fd), ssl_(std::move(ssl)) {}

  bool is_tls() const { return ssl_ != nullptr; }
  // Nothing to do, and done, in the clear.
  Outcome Handshake();
  Outcome Read(char* data, size_t size);
  // Some of `head` followed by `body`.
  Outcome Write(std::string_view head, std::string_view body);
  // Says that nothing more will be written. At best.
  void EndWriting();

 private:
  Outcome SslOutcome(int result);

  const int fd_;
  const SslPointer ssl_;
};

}  // namespace sluice::net

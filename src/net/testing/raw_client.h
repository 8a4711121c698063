#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "net/http_server.h"

namespace sluice::net {

// A bare connection, to send what no proper client would. Waits at most ten seconds for anything.
class RawClient {
 public:
  explicit RawClient(const HttpEndpoint& endpoint);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool is_connected() const { return fd_ >= 0; }
  void Send(std::string_view bytes);
  // Says that nothing more will be sent.
  void EndSending();
  // Up to and with `mark`, or all there is when the server closes first.
  std::string ReadUntil(std::string_view mark);
  // Until the server closes. `(timeout)` at the end when it does not.
  std::string ReadAll();

 private:
  int fd_;
  std::string buffer_;
};

}  // namespace sluice::net

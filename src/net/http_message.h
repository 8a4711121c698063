#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "net/headers.h"
#include "net/url.h"

namespace sluice::net {

// The body of a request as it arrives. Confined to the handler's thread and call.
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  // The next bytes; empty at the end. Blocks. Errors: kTooLarge over the limit; kTimeout; kUnavailable when
  // the client went away; kInvalidArgument for bad framing.
  virtual Result<std::string> Read() = 0;
};

struct HttpRequest {
  std::string method;  // upper case
  std::string target;  // as received
  Target url;          // decoded
  Headers headers;
  std::string body;                   // empty when streamed
  BodyReader* stream = nullptr;       // when the handler asked for it; the server's
  std::string peer;                   // `127.0.0.1:4711`, `unix`
  std::optional<uint32_t> peer_user;  // user id at the other end of a unix-domain socket
  std::stop_token stop;               // the server wants to end
};

// Part of a file on disk, opened when the response is sent.
struct FileRange {
  std::string path;
  uint64_t offset = 0;
  uint64_t size = 0;
};

// A response body made piece by piece, each on a handler thread when the client has taken the one before.
class BodySource {
 public:
  virtual ~BodySource() = default;
  // The next piece; empty at the end. After an error the connection is cut, so that the client does not take
  // the body for complete.
  virtual Result<std::string> Next() = 0;
};

struct HttpResponse {
  int status = 200;
  // Content-Length, Connection, Date, Accept-Ranges and Content-Range are the server's to set.
  Headers headers;
  std::variant<std::string, FileRange, std::unique_ptr<BodySource>> body;
};

// `application/problem+json` (RFC 9457): type, title, status, detail, and `message` with the same text, for
// clients of the reference.
HttpResponse ProblemResponse(int status, std::string_view message);

// `text/plain` response.
HttpResponse TextResponse(int status, std::string text);

}  // namespace sluice::net

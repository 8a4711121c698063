#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/headers.h"

namespace sluice::net {

// Signs a call as AWS wants it (Signature Version 4).
struct AwsSigning {
  std::string region;
  std::string service;  // `sqs`, `s3`
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;  // of temporary credentials; may be empty
};

struct HttpCall {
  std::string method = "GET";
  std::string url;
  Headers headers;
  std::string body;
  // Instead of `body`: the next bytes, empty at the end. Sent chunked unless `source_bytes` is known.
  std::function<Result<std::string>()> source;
  std::optional<uint64_t> source_bytes;
  // Only for calls with `body`, or none.
  std::optional<AwsSigning> aws;

  // Told of the final answer's status and headers before its body, and before Send returns. An error ends the
  // call and is returned.
  std::function<Status(int status, const Headers& headers)> on_headers;
  // Instead of HttpAnswer::body, for answers with a 2xx status. An error ends the call and is returned.
  std::function<Status(std::string_view)> sink;
  // Bytes of the body so far, and all of them (0 = not known). Called at least once a second.
  std::function<void(uint64_t done, uint64_t total)> progress;

  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds timeout{0};  // for the whole call; 0 = none
  std::chrono::milliseconds stall_timeout{
      60'000};  // without a byte in either direction; whole seconds, 0 = none
  // 0 = a redirect is an answer like any other, as it always is for a call with a body. Another server than
  // the URL's gets none of the headers that could hold secrets.
  int max_redirects = 0;
  uint64_t max_body_bytes = 64 << 20;  // of HttpAnswer::body; a sink decides for itself
  std::string unix_socket;             // connect there; the URL's host is then only a name
};

struct HttpAnswer {
  int status = 0;
  Headers headers;
  std::string body;
  std::string url;  // after redirects
};

struct HttpClientOptions {
  std::string user_agent = "sluice";
  std::optional<std::string> proxy;  // nothing = as the environment says, empty = none
  std::string ca_file;               // empty = the system's
  // Asked for each address before it is connected to, also after redirects. An error ends the call and is
  // returned.
  std::function<Status(const std::string& ip_address)> allow_address;
};

// HTTP(S) calls that reuse connections. Any status is an answer; an error means that there is none, or not
// all of it. Nothing is retried. Confined: one call at a time.
class HttpClient {
 public:
  virtual ~HttpClient() = default;
  static Result<std::unique_ptr<HttpClient>> Make(HttpClientOptions options = {});

  // Errors: kInvalidArgument for a bad URL or header; kUnavailable when the server cannot be reached or
  // closes early; kTimeout; kTooLarge over max_body_bytes; kPermissionDenied when the server's certificate is
  // not trusted; kUnsupported for another scheme than http(s) and for too many redirects; kCancelled; those
  // of source, sink and allow_address.
  virtual Result<HttpAnswer> Send(const HttpCall& call, std::stop_token stop = {}) = 0;
};

// OK for 2xx; else the code that fits the status, the message quoting URL, status and the beginning of the
// body.
Status CheckAnswer(const HttpAnswer& answer);

}  // namespace sluice::net

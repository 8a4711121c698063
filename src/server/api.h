#pragma once

#include <functional>
#include <memory>

#include "server/call.h"

namespace sluice::server {

// What is told of a request once it is answered.
struct AccessRecord {
  std::string id, peer, account, method, target, route;
  int status = 0;
  uint64_t bytes_in = 0, bytes_out = 0;
  std::chrono::steady_clock::duration took{};
};

// Decides who asks. Errors: kUnauthenticated, kPermissionDenied.
using Authenticate = std::function<Result<Caller>(const net::HttpRequest& request)>;
// Whether `caller` may do that with the dataset (or at all, when there is none). Errors: kPermissionDenied;
// kNotFound where even its existence is not told.
using Authorize = std::function<Status(const Caller& caller, Right right, const std::string& dataset,
                                       const std::optional<std::string>& source)>;

struct ApiOptions {
  Authenticate authenticate;
  Authorize authorize;
  std::function<void(const AccessRecord&)> log;
};

// The HTTP API of a node: finds the route, checks the caller, answers. Thread-safe.
std::unique_ptr<net::HttpHandler> MakeApi(const Context& context, ApiOptions options);

}  // namespace sluice::server

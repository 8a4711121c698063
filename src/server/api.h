#pragma once

#include <functional>
#include <memory>

#include "server/access.h"
#include "server/call.h"

namespace sluice::server {

// What is told of a request once it is answered.
struct AccessRecord {
  std::string id, peer, account, method, target, route;
  int status = 0;
  uint64_t bytes_in = 0, bytes_out = 0;
  std::chrono::steady_clock::duration took{};
  bool is_refusal = false;  // answered before there was a whole request: no route was asked
};

struct ApiOptions {
  std::shared_ptr<const Access> access;
  std::function<void(const AccessRecord&)> log;  // on many threads; null = none
};

// The HTTP API of a node: finds the route, checks the caller, answers. Thread-safe.
std::unique_ptr<net::HttpHandler> MakeApi(const Context& context, ApiOptions options);

}  // namespace sluice::server

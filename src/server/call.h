#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "auth/access.h"
#include "gateway/gateway.h"
#include "net/http_server.h"
#include "workspace/workspace.h"

namespace sluice::server {

class Leases;
class Metrics;
class Names;
class Quotas;
struct Promises;

// Who asks. An operator is whoever may use the workspace's folder: the socket.
struct Caller {
  std::string account;
  bool is_operator = false;
  bool is_anonymous = false;
  std::shared_ptr<const auth::Principal> principal;  // of a token
};

// What a caller may want to do with a dataset.
enum class Right { kNone, kRead, kPush, kAdmin, kOperator };

// What all routes share. Outlives every call.
struct Context {
  workspace::Workspace* workspace = nullptr;
  gateway::Gateway* gateway = nullptr;
  const Clock* clock = nullptr;
  Leases* leases = nullptr;
  Metrics* metrics = nullptr;
  Names* names = nullptr;
  Quotas* quotas = nullptr;
  const Promises* promises = nullptr;
};

// One request on its way to its answer.
struct Call {
  net::HttpRequest request;
  std::shared_ptr<net::Responder> responder;
  std::string id;  // request id: in the answer's header, in the log, in problems
  Caller caller;
  std::string dataset;            // of the path: `name` or `account/name`
  std::vector<std::string> rest;  // segments behind the route's own
  std::string route;              // its pattern
  uint64_t body_bytes = 0;        // received
  std::chrono::steady_clock::time_point started;
  std::function<void(int status, uint64_t bytes)> on_answer;

  void Answer(net::HttpResponse response);
};
using CallPtr = std::shared_ptr<Call>;

// The dataset of the path. Errors: kNotFound, with near names only for whom every dataset is shown.
Result<workspace::Entry> DatasetOf(const Context& context, const Call& call);

}  // namespace sluice::server

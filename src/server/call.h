#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "auth/access.h"
#include "gateway/gateway.h"
#include "net/http_server.h"
#include "server/capability.h"
#include "server/limits.h"
#include "workspace/workspace.h"

namespace sluice::server {

class Access;
class ChainIndexes;
class ClientWatch;
class Leases;
class Metrics;
class Names;
class Puller;
class Quotas;
struct Promises;
class Uploads;
class Workers;

// Who asks. An operator is whoever may use the workspace's folder: the socket.
struct Caller {
  std::string account;
  bool is_operator = false;
  bool is_anonymous = false;
  std::shared_ptr<const auth::Principal> principal;  // of a token
};

// What a caller may want to do with a dataset. kCaller: whoever is known, with any right. kSources: to see
// the sources that it may read or push to.
enum class Right { kNone, kCaller, kSources, kRead, kPush, kAdmin, kOperator };

// What all routes share. Outlives every call.
struct Context {
  workspace::Workspace* workspace = nullptr;
  gateway::Gateway* gateway = nullptr;
  const Clock* clock = nullptr;
  Leases* leases = nullptr;
  Metrics* metrics = nullptr;
  Names* names = nullptr;
  Quotas* quotas = nullptr;
  Puller* puller = nullptr;  // null: the schedules are not run here
  const Promises* promises = nullptr;
  const Access* access = nullptr;
  Workers* short_calls = nullptr;
  Workers* long_calls = nullptr;
  ClientWatch* clients = nullptr;
  ChainIndexes* chains = nullptr;
  Uploads* uploads = nullptr;
  std::string scheme = "http";  // by which clients reach this node
  Limits limits;
  Capabilities capabilities;
  std::function<std::string()> more_metrics;
  std::function<Status()> more_health;
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
  // An error becomes a problem.
  void Answer(Result<net::HttpResponse> response);
};
using CallPtr = std::shared_ptr<Call>;

// Answers with what `work` gives, on one of `workers`; 503 when too much waits for them. `context` and what
// it refers to outlive the call.
void AnswerLater(Workers& workers, const CallPtr& call, std::function<Result<net::HttpResponse>()> work);
// The same for what may take long: on a thread for long calls, stopped when the client has gone.
void AnswerLong(const Context& context, const CallPtr& call,
                std::function<Result<net::HttpResponse>(std::stop_token stop)> work);
Error TooManyCalls();

// Media types that say nothing of the format: what clients send when nobody told them.
bool IsUnspecificMediaType(std::string_view media_type);

// Whether the caller may do that with the dataset of this name.
bool MayDo(const Context& context, const Caller& caller, Right right, const std::string& dataset);

// The dataset of the path. Errors: kNotFound, with near names only for whom every dataset is shown.
Result<workspace::Entry> DatasetOf(const Context& context, const Call& call);

// Query parameters, strictly. Errors: kInvalidArgument quoting name and value.
Result<uint64_t> NumberParameter(const Call& call, std::string_view name, uint64_t fallback, uint64_t min,
                                 uint64_t max);
Result<bool> FlagParameter(const Call& call, std::string_view name);

}  // namespace sluice::server

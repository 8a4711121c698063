#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "gateway/gateway.h"
#include "net/http_server.h"
#include "server/api.h"
#include "server/compactor.h"
#include "server/puller.h"
#include "server/quotas.h"

namespace sluice::server {

struct ServerOptions {
  std::vector<net::HttpEndpoint> endpoints;  // besides the workspace's socket
  net::HttpServerOptions http;
  gateway::GatewayOptions gateway;
  ApiOptions api;
  Limits limits;
  Capabilities capabilities;  // null: nobody was granted any
  std::vector<CompactionRule> compaction;
  std::vector<std::string> weakened;  // what the configuration weakens, in plain words
  Quota quota;                        // of accounts that have none of their own
  std::map<std::string, Quota> account_quotas;
  // Told of compactions, on a thread of the node's.
  std::function<void(const std::string& dataset, const Status& outcome)> on_compaction;
  // Added to /metrics, as Prometheus text; null = nothing. Called on many threads.
  std::function<std::string()> more_metrics;
  // Of what runs beside the node in its process: why it cannot go on, for /readyz.
  std::function<Status()> more_health;
  bool runs_schedules = true;  // of the workspace's configuration
  PullerOptions pulls;
  std::chrono::milliseconds shutdown_grace{10'000};
};

// A node: one process that takes pushes over HTTP, on TCP and on `.sluice/node.sock`, for one workspace,
// which must outlive it. Thread-safe.
class Server {
 public:
  virtual ~Server() = default;
  // Listens when it returns. Errors: kUnavailable when another process writes in the workspace for long, a
  // second node runs, or an address is taken; kPrecondition for a lost log;
  // kInvalidArgument for schedules that cannot be read.
  static Result<std::unique_ptr<Server>> Start(workspace::Workspace& workspace, const Clock& clock,
                                               ServerOptions options);
  virtual std::string url() const = 0;
  virtual const std::vector<net::HttpEndpoint>& endpoints() const = 0;
  virtual gateway::Gateway& gateway() = 0;
  // Takes no more, commits what waits, within the grace; queued batches stay for the next start.
  virtual void Stop() = 0;
};

// Where a workspace's node listens for the operator.
std::string NodeSocket(const workspace::Workspace& workspace);

}  // namespace sluice::server

#include "server/server.h"

#include "server/chain_index.h"
#include "server/leases.h"
#include "server/metrics.h"
#include "server/names.h"
#include "server/promises.h"
#include "server/puller.h"
#include "server/uploads.h"
#include "server/workers.h"

namespace sluice::server {
namespace {

// What the account may have polling sources do.
fetch::Capabilities GrantedTo(const Capabilities& grants, const std::string& account) {
  const auto granted = grants ? grants(account) : std::set<Capability>();
  fetch::Capabilities may;
  // Which of them a source needs was looked at when it was added.
  may.files = granted.contains(Capability::kFile) || granted.contains(Capability::kFilesGlob);
  may.commands = granted.contains(Capability::kPipe) || granted.contains(Capability::kExec);
  may.environment = granted.contains(Capability::kEnv);
  may.private_addresses = granted.contains(Capability::kPrivateAddresses);
  return may;
}

class Node final : public Server {
 public:
  explicit Node(ServerOptions options) : options_(std::move(options)) {}
  ~Node() override { Stop(); }

  Status Run(workspace::Workspace& workspace, const Clock& clock) {
    ASSIGN_OR_RETURN(gateway_, gateway::Gateway::Open(workspace, clock, options_.gateway));
    names_ = std::make_unique<Names>(workspace);
    leases_ = Leases::Start(*gateway_, *names_);
    Context context;
    context.workspace = &workspace;
    context.gateway = gateway_.get();
    context.clock = &clock;
    context.leases = leases_.get();
    context.metrics = &metrics_;
    context.names = names_.get();
    quotas_ = std::make_unique<Quotas>(options_.quota, options_.account_quotas);
    context.quotas = quotas_.get();
    promises_ = Promises::Of(options_.gateway, options_.weakened);
    context.promises = &promises_;
    const auto& limits = options_.limits;
    short_calls_ = std::make_unique<Workers>("short-calls", limits.short_calls, limits.waiting_short_calls);
    long_calls_ = std::make_unique<Workers>("long-calls", limits.long_calls, limits.waiting_long_calls);
    context.access = options_.api.access.get();
    context.short_calls = short_calls_.get();
    context.long_calls = long_calls_.get();
    context.clients = &clients_;
    context.chains = &chains_;
    UploadOptions uploads;
    uploads.lifetime = limits.upload_lifetime;
    uploads.max_total_bytes = limits.waiting_upload_bytes;
    ASSIGN_OR_RETURN(uploads_, Uploads::Open(workspace.root(), clock, uploads));
    context.uploads = uploads_.get();
    for (const auto& endpoint : options_.endpoints)
      if (endpoint.tls) context.scheme = "https";
    context.limits = limits;
    context.capabilities = options_.capabilities;
    context.more_metrics = options_.more_metrics;
    context.more_health = options_.more_health;
    if (options_.runs_schedules) {
      options_.pulls.granted = [grants = options_.capabilities](const workspace::Entry& entry) {
        const auto slash = entry.alias.find('/');
        return GrantedTo(grants, slash == std::string::npos ? "" : entry.alias.substr(0, slash));
      };
      ASSIGN_OR_RETURN(puller_, Puller::Start(workspace, *gateway_, clock, options_.pulls));
    }
    context.puller = puller_.get();
    handler_ = MakeApi(context, options_.api);
    std::vector<net::HttpEndpoint> endpoints = options_.endpoints;
    net::HttpEndpoint socket;
    socket.unix_path = NodeSocket(workspace);
    endpoints.push_back(socket);
    ASSIGN_OR_RETURN(http_, net::HttpServer::Start(endpoints, *handler_, options_.http));
    compactor_ = Compactor::Start(workspace, *gateway_, options_.compaction, options_.on_compaction);
    return {};
  }

  std::string url() const override { return http_->url(); }
  const std::vector<net::HttpEndpoint>& endpoints() const override { return http_->endpoints(); }
  gateway::Gateway& gateway() override { return *gateway_; }

  void Stop() override {
    if (!http_) return;
    compactor_.reset();
    if (puller_) puller_->Stop();
    // One time for both; answers that are ready are sent in any case.
    const auto deadline = std::chrono::steady_clock::now() + options_.shutdown_grace;
    gateway_->Drain(options_.shutdown_grace);
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    http_->Stop(std::max(left, options_.shutdown_grace / 10));
    long_calls_.reset();
    short_calls_.reset();
    leases_.reset();
    puller_.reset();
    gateway_.reset();
    http_.reset();
  }

 private:
  ServerOptions options_;
  Metrics metrics_;
  std::unique_ptr<Quotas> quotas_;
  Promises promises_;
  std::unique_ptr<gateway::Gateway> gateway_;
  std::unique_ptr<Names> names_;
  std::unique_ptr<Leases> leases_;
  ClientWatch clients_;
  ChainIndexes chains_;
  std::unique_ptr<Uploads> uploads_;
  std::unique_ptr<Workers> short_calls_, long_calls_;
  std::unique_ptr<Compactor> compactor_;
  std::unique_ptr<Puller> puller_;
  std::unique_ptr<net::HttpHandler> handler_;
  std::unique_ptr<net::HttpServer> http_;
};

}  // namespace

std::string NodeSocket(const workspace::Workspace& workspace) { return workspace.root() + "/node.sock"; }

Result<std::unique_ptr<Server>> Server::Start(workspace::Workspace& workspace, const Clock& clock,
                                              ServerOptions options) {
  auto node = std::make_unique<Node>(std::move(options));
  RETURN_IF_ERROR(node->Run(workspace, clock));
  return std::unique_ptr<Server>(std::move(node));
}

}  // namespace sluice::server

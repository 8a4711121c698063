#include <unistd.h>

#include <charconv>
#include <condition_variable>
#include <mutex>

#include "cli/commands.h"
#include "cli/node_client.h"
#include "cli/usage.h"
#include "server/server.h"

namespace sluice::cli {
namespace {

struct ServeArgs {
  std::vector<std::string> listen;
  std::string block_budget = "1", ack = "committed";
  bool accept_new_log = false;
  int64_t shutdown_seconds = 10;
};

// `8080`, `127.0.0.1:8080`, `[::1]:8080`, `unix:/path`.
Result<net::HttpEndpoint> ParseListen(const std::string& text) {
  net::HttpEndpoint endpoint;
  if (text.starts_with("unix:")) {
    endpoint.unix_path = text.substr(5);
    if (endpoint.unix_path.empty()) return UsageError("--listen unix:PATH needs a path");
    return endpoint;
  }
  const auto colon = text.rfind(':');
  std::string port = colon == std::string::npos ? text : text.substr(colon + 1);
  if (colon != std::string::npos) endpoint.host = text.substr(0, colon);
  if (endpoint.host.starts_with('[') && endpoint.host.ends_with(']'))
    endpoint.host = endpoint.host.substr(1, endpoint.host.size() - 2);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
  if (error != std::errc() || end != port.data() + port.size() || endpoint.host.empty())
    return UsageError("--listen takes PORT, HOST:PORT or unix:PATH, not '{}'", text);
  return endpoint;
}

void WaitForStop(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait(lock, stop, [] { return false; });
}

bool IsLoopback(const net::HttpEndpoint& endpoint) {
  return !endpoint.unix_path.empty() || endpoint.host == "localhost" || endpoint.host == "::1" ||
         endpoint.host.starts_with("127.");
}

Status Serve(Session& session, const ServeArgs& args) {
  server::ServerOptions options;
  for (const auto& text : args.listen) {
    ASSIGN_OR_RETURN(auto endpoint, ParseListen(text));
    if (!IsLoopback(endpoint)) {
      return UsageError(
          "--listen {}: this version serves loopback addresses and unix sockets only, because it asks "
          "nobody for a token; put a proxy that does in front of it",
          text);
    }
    options.endpoints.push_back(std::move(endpoint));
  }
  if (args.block_budget == "unlimited") {
    options.gateway.blocks_per_second.reset();
  } else {
    double rate = 0;
    const auto [end, error] =
        std::from_chars(args.block_budget.data(), args.block_budget.data() + args.block_budget.size(), rate);
    if (error != std::errc() || end != args.block_budget.data() + args.block_budget.size() || !(rate > 0))
      return UsageError("--block-budget takes blocks a second, or 'unlimited', not '{}'", args.block_budget);
    options.gateway.blocks_per_second = rate;
    options.gateway.block_burst = std::max(1.0, rate * 3600);
  }
  options.gateway.ack_durable = args.ack == "durable";
  options.gateway.journal.accept_new_log = args.accept_new_log;
  options.shutdown_grace = std::chrono::seconds(args.shutdown_seconds);
  options.api.authenticate = [](const net::HttpRequest& request) -> Result<server::Caller> {
    server::Caller caller;
    caller.is_operator = request.peer_user.has_value();
    caller.is_anonymous = !caller.is_operator;
    return caller;
  };
  options.api.authorize = [](const server::Caller&, server::Right, const std::string&,
                             const std::optional<std::string>&) -> Status { return {}; };
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  if (FindNode(*workspace).ok()) {
    return MakeError(ErrorCode::kUnavailable,
                     "a node is running in this workspace already: it listens on '{}'",
                     server::NodeSocket(*workspace));
  }
  ASSIGN_OR_RETURN(auto node, server::Server::Start(*workspace, session.clock(), std::move(options)));
  session.Say("Serving workspace {} on {}", workspace->root(), node->url());
  WaitForStop(session.stop());
  session.Say("Shutting down: taking no more, committing what waits");
  node->Stop();
  return {};
}

}  // namespace

void AddServe(Commands& commands) {
  auto args = std::make_shared<ServeArgs>();
  auto* command = commands.Add("serve", "Run a node: take pushed records over HTTP",
                               "sluice serve --listen 127.0.0.1:8080", [args](Session& session) {
                                 if (args->listen.empty()) args->listen.push_back("127.0.0.1:8080");
                                 return Serve(session, *args);
                               });
  command->add_option("--listen", args->listen,
                      "PORT, HOST:PORT or unix:PATH; may be repeated (default 127.0.0.1:8080)");
  command->add_option("--block-budget", args->block_budget,
                      "Blocks a dataset gets per second, averaged over an hour, or 'unlimited' (default 1)");
  command
      ->add_option("--ack", args->ack,
                   "When a push is answered: committed (default), or durable in the queue")
      ->check(CLI::IsMember({"committed", "durable"}));
  command->add_flag("--accept-new-log", args->accept_new_log,
                    "Go on although the node's log is missing: acknowledged batches may be gone");
  command
      ->add_option("--shutdown-seconds", args->shutdown_seconds,
                   "Time to finish when told to stop (default 10)")
      ->check(CLI::Range(int64_t{0}, int64_t{3600}));
}

}  // namespace sluice::cli

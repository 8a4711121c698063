#include <unistd.h>

#include <charconv>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <nlohmann/json.hpp>

#include "auth/token_store.h"
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
  std::string tls_certificate, tls_key;
  bool insecure_http = false;
  std::string jwks, jwt_issuer, jwt_audience, access_log;
  std::vector<std::string> compact;
  uint64_t compact_records = server::CompactionRule().max_slice_records;
  uint64_t compact_bytes = server::CompactionRule().max_slice_bytes;
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

// Where it listens, and whether the listeners are safe for tokens.
Status AddListeners(const ServeArgs& args, server::ServerOptions* options, bool* loopback_only) {
  std::optional<net::TlsFiles> tls;
  if (args.tls_certificate.empty() != args.tls_key.empty())
    return UsageError("--tls-certificate and --tls-key go together");
  if (!args.tls_key.empty()) tls = net::TlsFiles{args.tls_certificate, args.tls_key};
  *loopback_only = true;
  for (const auto& text : args.listen) {
    ASSIGN_OR_RETURN(auto endpoint, ParseListen(text));
    if (endpoint.unix_path.empty()) endpoint.tls = tls;
    const bool loopback = IsLoopback(endpoint);
    if (!loopback && !tls && !args.insecure_http) {
      return UsageError(
          "--listen {} can be reached by others, who would see tokens and records: give --tls-certificate and "
          "--tls-key, or --insecure-http when the network is yours",
          text);
    }
    *loopback_only = *loopback_only && loopback;
    options->endpoints.push_back(std::move(endpoint));
  }
  return {};
}

Result<std::shared_ptr<server::Access>> OpenAccess(Session& session, const workspace::Workspace& workspace,
                                                   const ServeArgs& args, bool loopback_only) {
  server::AccessOptions access;
  access.allow_anonymous = loopback_only;
  access.auth.workspace_root = workspace.root();
  if (!args.jwks.empty()) {
    access.auth.jwt.emplace();
    access.auth.jwt->jwks = args.jwks;
    access.auth.jwt->rules.issuer = args.jwt_issuer;
    access.auth.jwt->rules.audience = args.jwt_audience;
  }
  if (access.allow_anonymous)
    session.Warn(
        "Whoever uses this machine may push and read without a token: the node listens on loopback only");
  return server::Access::Open(std::move(access), session.clock());
}

Status AddCompaction(Session& session, const ServeArgs& args, server::ServerOptions* options) {
  for (const auto& text : args.compact) {
    const auto equals = text.rfind('=');
    if (equals == std::string::npos || equals == 0)
      return UsageError("--compact takes DATASET=INTERVAL, such as 'readings=24h', not '{}'", text);
    server::CompactionRule rule;
    rule.datasets = text.substr(0, equals);
    auto every = auth::ParseLifetime(text.substr(equals + 1));
    if (!every.ok()) return std::move(every).error().With("usage");
    rule.every = *every;
    rule.max_slice_records = args.compact_records;
    rule.max_slice_bytes = args.compact_bytes;
    options->compaction.push_back(std::move(rule));
  }
  options->on_compaction = [&session](const std::string& dataset, const Status& outcome) {
    session.Warn(outcome.ok() ? fmt::format("{}: compacted", dataset)
                              : fmt::format("{}: not compacted: {}", dataset, outcome.error().ToString()));
  };
  return {};
}

// One JSON object a request.
class AccessLog {
 public:
  static Result<std::shared_ptr<AccessLog>> Open(const std::string& path, const Clock& clock) {
    std::FILE* file = path == "-" ? stderr : std::fopen(path.c_str(), "ae");
    if (!file) return FromErrno(errno, fmt::format("cannot write the access log '{}'", path));
    return std::shared_ptr<AccessLog>(new AccessLog(file, clock));
  }
  ~AccessLog() {
    if (file_ != stderr) std::fclose(file_);
  }
  void Write(const server::AccessRecord& record) {
    const double millis = std::chrono::duration<double, std::milli>(record.took).count();
    const nlohmann::json line = {{"time", FormatInstant(clock_.Now())},
                                 {"id", record.id},
                                 {"peer", record.peer},
                                 {"account", record.account},
                                 {"method", record.method},
                                 {"target", record.target},
                                 {"status", record.status},
                                 {"bytesIn", record.bytes_in},
                                 {"bytesOut", record.bytes_out},
                                 {"millis", millis}};
    const std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    std::lock_guard lock(mutex_);
    std::fwrite(text.data(), 1, text.size(), file_);
    std::fflush(file_);
  }

 private:
  AccessLog(std::FILE* file, const Clock& clock) : file_(file), clock_(clock) {}
  std::mutex mutex_;
  std::FILE* file_;
  const Clock& clock_;
};

Status Serve(Session& session, const ServeArgs& args) {
  server::ServerOptions options;
  bool loopback_only = true;
  RETURN_IF_ERROR(AddListeners(args, &options, &loopback_only));
  RETURN_IF_ERROR(AddCompaction(session, args, &options));
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
  if (!args.access_log.empty()) {
    ASSIGN_OR_RETURN(auto log, AccessLog::Open(args.access_log, session.clock()));
    options.api.log = [log](const server::AccessRecord& record) { log->Write(record); };
  }
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  if (FindNode(*workspace).ok()) {
    return MakeError(ErrorCode::kUnavailable,
                     "a node is running in this workspace already: it listens on '{}'",
                     server::NodeSocket(*workspace));
  }
  ASSIGN_OR_RETURN(options.api.access, OpenAccess(session, *workspace, args, loopback_only));
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
  command->add_option("--tls-certificate", args->tls_certificate,
                      "PEM file: certificate with its chain; read again when it changes");
  command->add_option("--tls-key", args->tls_key, "PEM file: its private key");
  command->add_flag("--insecure-http", args->insecure_http,
                    "Listen on other than loopback addresses without TLS");
  auto* jwks = command->add_option(
      "--jwks", args->jwks,
      "File or https URL with the keys of an identity provider, whose tokens are taken too");
  auto* issuer =
      command->add_option("--jwt-issuer", args->jwt_issuer, "With --jwks: the provider's name ('iss')")
          ->needs(jwks);
  auto* audience =
      command->add_option("--jwt-audience", args->jwt_audience, "With --jwks: this node's name there ('aud')")
          ->needs(jwks);
  jwks->needs(issuer)->needs(audience);
  command->add_option("--access-log", args->access_log,
                      "File to append one JSON line a request to, '-' for standard error");
  command->add_option(
      "--compact", args->compact,
      "DATASET=INTERVAL: compact it so often (30m, 24h, 7d); may be repeated; replaces history");
  command->add_option("--compact-slice-records", args->compact_records,
                      "With --compact: records of a slice (default 10000)");
  command->add_option("--compact-slice-bytes", args->compact_bytes,
                      "With --compact: bytes of a slice (default 300000000)");
  command->add_flag("--accept-new-log", args->accept_new_log,
                    "Go on although the node's log is missing: acknowledged batches may be gone");
  command
      ->add_option("--shutdown-seconds", args->shutdown_seconds,
                   "Time to finish when told to stop (default 10)")
      ->check(CLI::Range(int64_t{0}, int64_t{3600}));
}

}  // namespace sluice::cli

#include <fmt/ranges.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/hosted_pipelines.h"
#include "cli/node_client.h"
#include "cli/usage.h"
#include "net/tls.h"
#include "server/config.h"
#include "server/log_lines.h"
#include "server/open_files.h"
#include "server/server.h"
#include "workspace/config.h"
#include "workspace/secrets.h"

namespace sluice::cli {
namespace {

using nlohmann::json;
using server::LogLevel;

// What was said on the command line, by option.
struct ServeArgs {
  std::string config;
  bool check = false;
  std::vector<std::string> pipelines;
  std::map<std::string, std::vector<std::string>> values;
  std::map<std::string, bool> flags;
};

// What the workspace's own configuration says about a node; the node's says more, and wins.
Status AddWorkspaceConfig(const workspace::Workspace& workspace, server::ConfigReader* reader) {
  constexpr char kKey[] = "uploads.maxFileSizeInMb";
  ASSIGN_OR_RETURN(const auto config, workspace::Config::Load(workspace.root()));
  if (!config.IsSet(kKey)) return {};
  return reader->SetFallback("limits.upload", config.Text(kKey) + "MiB",
                             fmt::format("{} of '{}/config.yaml'", kKey, workspace.root()));
}

// `workspace` may be null.
Result<server::NodeConfig> ConfigOf(const ServeArgs& args, const workspace::Workspace* workspace) {
  server::ConfigReader reader(server::ProcessEnvironment);
  if (!args.config.empty()) RETURN_IF_ERROR(reader.ReadFile(args.config));
  for (const auto& [option, values] : args.values) {
    for (const auto& value : values) {
      if (auto status = reader.SetOption(option, value); !status.ok())
        return std::move(status).error().With("usage");
    }
  }
  for (const auto& [option, is_given] : args.flags) {
    if (is_given) RETURN_IF_ERROR(reader.SetOption(option, "true"));
  }
  if (workspace != nullptr) RETURN_IF_ERROR(AddWorkspaceConfig(*workspace, &reader));
  auto config = reader.Finish();
  if (!config.ok() && args.config.empty()) return std::move(config).error().With("usage");
  return config;
}

// Tells the operator: on the terminal in words, in the log as an event; once where both are one stream.
class Voice {
 public:
  static Result<std::unique_ptr<Voice>> Open(Session& session, const server::LogOptions& options) {
    ASSIGN_OR_RETURN(auto log, server::LogLines::Open(options, session.clock()));
    return std::unique_ptr<Voice>(new Voice(session, options, std::move(log)));
  }
  void Tell(LogLevel level, std::string_view event, const std::string& text, json members) {
    if (!is_words_) {
      members["text"] = text;
      log_->Write(level, event, members);
    }
    if (has_own_stream_ || is_words_) {
      if (level == LogLevel::kInfo || (level == LogLevel::kDebug && log_->is_on(level))) session_.Say(text);
      if (level > LogLevel::kInfo) session_.Warn(text);
    }
  }
  server::LogLines& log() { return *log_; }

 private:
  Voice(Session& session, const server::LogOptions& options, std::unique_ptr<server::LogLines> log)
      : session_(session),
        log_(std::move(log)),
        has_own_stream_(!options.file.empty()),
        is_words_(options.file.empty() && !options.is_json) {}

  Session& session_;
  std::unique_ptr<server::LogLines> log_;
  const bool has_own_stream_;  // the terminal is free for words
  const bool is_words_;        // the log is the terminal, and for people
};

void WaitForStop(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait(lock, stop, [] { return false; });
}

Result<std::shared_ptr<server::Access>> OpenAccess(Session& session, const workspace::Workspace& workspace,
                                                   const server::NodeConfig& config, Voice& voice) {
  server::AccessOptions access;
  access.allow_anonymous = config.is_loopback_only();
  access.auth.workspace_root = workspace.root();
  access.auth.jwt = config.jwt;
  if (access.allow_anonymous) {
    voice.Tell(
        LogLevel::kWarn, "anonymous-access",
        "Whoever uses this machine may push and read without a token: the node listens on loopback only",
        json::object());
  }
  return server::Access::Open(std::move(access), session.clock());
}

json MembersOf(const server::AccessRecord& record) {
  return {{"id", record.id},
          {"peer", record.peer},
          {"account", record.account},
          {"method", record.method},
          {"target", server::WithoutSecrets(record.target)},
          {"route", record.route},
          {"status", record.status},
          {"bytesIn", record.bytes_in},
          {"bytesOut", record.bytes_out},
          {"millis", std::chrono::duration<double, std::milli>(record.took).count()}};
}

// Requests: all in the access log; in the node's log those that failed on the node's side, others when it is
// asked for everything.
Status AddRequestLogs(const server::NodeConfig& config, const Clock& clock, server::LogLines& log,
                      server::ServerOptions* options) {
  std::shared_ptr<server::LogLines> access;
  if (!config.access_log.empty()) {
    server::LogOptions lines;
    lines.is_json = true;
    if (config.access_log != "-") lines.file = config.access_log;
    ASSIGN_OR_RETURN(access, server::LogLines::Open(lines, clock));
  }
  options->api.log = [access, &log](const server::AccessRecord& record) {
    constexpr int kServerFault = 500;
    const bool has_failed = record.status >= kServerFault;
    const auto level = has_failed ? LogLevel::kWarn : LogLevel::kDebug;
    if (!access && !log.is_on(level)) return;
    const json members = MembersOf(record);
    const std::string_view event = record.is_refusal ? "refused-request" : "request";
    if (access) access->Write(LogLevel::kInfo, event, members);
    log.Write(level, has_failed ? "request-failed" : event, members);
  };
  options->http.on_notice = [&log](const std::string& notice) {
    log.Write(LogLevel::kWarn, "notice", {{"text", notice}});
  };
  return {};
}

// The open files that the connections need.
void RaiseLimits(server::NodeConfig* config, Voice& voice) {
  const int wanted = config->http.max_connections;
  const auto files = server::RaiseOpenFileLimit(wanted);
  if (files.is_enough) return;
  config->http.max_connections = files.connections;
  voice.Tell(
      LogLevel::kWarn, "open-files",
      fmt::format("This process may open {} files, {} connections need {}: the node takes {} connections. "
                  "'ulimit -Hn', or LimitNOFILE= of systemd, raises it",
                  files.limit, wanted, server::OpenFilesFor(wanted), files.connections),
      {{"limit", files.limit}, {"connections", files.connections}});
}

void TellEvent(Voice& voice, const gateway::GatewayEvent& event) {
  using Kind = gateway::GatewayEvent::Kind;
  const json members = {{"dataset", event.dataset},
                        {"source", event.source},
                        {"receipt", event.receipt},
                        {"error", event.reason}};
  switch (event.kind) {
    case Kind::kNotReady:
      return voice.Tell(LogLevel::kError, "not-ready", "Nothing can be acknowledged: " + event.reason,
                        {{"error", event.reason}});
    case Kind::kReady:
      return voice.Tell(LogLevel::kWarn, "ready", "Pushes are acknowledged again", json::object());
    case Kind::kSourceStopped:
      return voice.Tell(LogLevel::kError, "source-stopped",
                        fmt::format("{}: source '{}' stands still at batch {}: {}", event.dataset,
                                    event.source, event.receipt, event.reason),
                        members);
    case Kind::kDeadLetter:
      return voice.Tell(LogLevel::kError, "dead-letter",
                        fmt::format("{}: batch {} of source '{}' is in the dead letters: {}", event.dataset,
                                    event.receipt, event.source, event.reason),
                        members);
  }
}

Result<server::ServerOptions> OptionsOf(Session& session, const server::NodeConfig& config, Voice& voice) {
  server::ServerOptions options;
  options.endpoints = config.listen;
  options.http = config.http;
  options.gateway = config.gateway;
  options.compaction = config.compaction;
  options.weakened = config.weakened;
  options.quota = config.quota;
  options.account_quotas = config.account_quotas;
  options.limits = config.limits;
  options.capabilities = [config](const std::string& account) {
    const auto own = config.account_capabilities.find(account);
    return own == config.account_capabilities.end() ? config.capabilities : own->second;
  };
  options.shutdown_grace = config.shutdown;
  options.gateway.on_event = [&voice](const gateway::GatewayEvent& event) { TellEvent(voice, event); };
  options.runs_schedules = config.runs_schedules;
  options.pulls.jobs = config.pull_jobs;
  options.pulls.on_pull = [&voice](const std::string& dataset, const Result<poll::PullOutcome>& outcome) {
    if (!outcome.ok()) {
      const std::string reason = outcome.error().ToString();
      return voice.Tell(LogLevel::kError, "pull-failed",
                        fmt::format("Failed to pull {}: {}", dataset, reason),
                        {{"dataset", dataset}, {"error", reason}});
    }
    voice.Tell(
        outcome->updated ? LogLevel::kInfo : LogLevel::kDebug, "pulled",
        fmt::format("{}: {} records read, {} added", dataset, outcome->records_read, outcome->records_added),
        {{"dataset", dataset}, {"read", outcome->records_read}, {"added", outcome->records_added}});
  };
  options.pulls.on_trouble = [&voice](const Error& error) {
    voice.Tell(LogLevel::kError, "schedule-trouble", "Schedules: " + error.ToString(), json::object());
  };
  options.on_compaction = [&voice](const std::string& dataset, const Status& outcome) {
    if (outcome.ok())
      return voice.Tell(LogLevel::kWarn, "compacted", dataset + ": compacted", {{"dataset", dataset}});
    const std::string reason = outcome.error().ToString();
    voice.Tell(LogLevel::kError, "compaction-failed", fmt::format("{}: not compacted: {}", dataset, reason),
               {{"dataset", dataset}, {"error", reason}});
  };
  RETURN_IF_ERROR(AddRequestLogs(config, session.clock(), voice.log(), &options));
  return options;
}

// Certificates that cannot be read are found without a workspace.
Status Check(Session& session, const ServeArgs& args, const server::NodeConfig& config) {
  for (const auto& endpoint : config.listen) {
    if (endpoint.tls) RETURN_IF_ERROR(net::TlsContext::Load(*endpoint.tls));
  }
  for (const auto& line : config.weakened) session.Say("Weakened, as asked for: " + line);
  session.Say("The configuration{} can be served", args.config.empty() ? "" : " '" + args.config + "'");
  return {};
}

Status Serve(Session& session, const ServeArgs& args) {
  const auto found = session.OpenWorkspace();
  ASSIGN_OR_RETURN(auto config, ConfigOf(args, found.ok() ? *found : nullptr));
  if (args.check) return Check(session, args, config);
  ASSIGN_OR_RETURN(auto* workspace, found);
  if (FindNode(*workspace, SilenceOf(session)).ok()) {
    return MakeError(ErrorCode::kUnavailable,
                     "a node is running in this workspace already: it listens on '{}'",
                     server::NodeSocket(*workspace));
  }
  // A key beside the data protects nothing (push-protocol.md 8).
  ASSIGN_OR_RETURN(
      const auto secrets,
      workspace::Secrets::Load(workspace->root(), workspace::SecretsKeySource::FromEnvironment()));
  RETURN_IF_ERROR(secrets.CheckKey());
  ASSIGN_OR_RETURN(const auto voice, Voice::Open(session, config.log));
  for (const auto& line : config.weakened)
    voice->Tell(LogLevel::kWarn, "weakened", "Weakened, as asked for: " + line, json::object());
  RaiseLimits(&config, *voice);
  ASSIGN_OR_RETURN(auto options, OptionsOf(session, config, *voice));
  ASSIGN_OR_RETURN(options.api.access, OpenAccess(session, *workspace, config, *voice));
  std::unique_ptr<pipeline::PipelineHost> pipelines;
  if (!args.pipelines.empty()) {
    pipelines = MakePipelineHost(session);
    options.more_metrics = [&pipelines] { return pipelines->Metrics(); };
    options.more_health = [&pipelines]() -> Status { return HowTheyAre(*pipelines); };
  }
  ASSIGN_OR_RETURN(auto node, server::Server::Start(*workspace, session.clock(), std::move(options)));
  std::vector<std::string> urls;
  for (const auto& endpoint : node->endpoints())
    if (auto url = endpoint.url(); !url.empty()) urls.push_back(std::move(url));
  voice->Tell(LogLevel::kInfo, "start",
              fmt::format("Serving workspace {} on {}", workspace->root(), fmt::join(urls, ", ")),
              {{"workspace", workspace->root()}, {"url", node->url()}, {"urls", urls}, {"pid", getpid()}});
  Status ran;
  if (pipelines) {
    ASSIGN_OR_RETURN(const auto files, PipelineFiles(args.pipelines));
    const Status started = pipelines->Start(files, /*is_beside_others=*/true);
    if (!started.ok() && !session.stop().stop_requested()) return started;
    ran = KeepRunning(session, *pipelines, /*watches_files=*/true, /*is_beside_others=*/true, {});
  } else {
    WaitForStop(session.stop());
  }
  voice->Tell(LogLevel::kInfo, "stopping", "Shutting down: taking no more, committing what waits",
              json::object());
  // What pipelines have taken may still go to the node.
  if (pipelines) {
    const Status stopped = pipelines->Stop();
    if (ran.ok()) ran = stopped;
  }
  node->Stop();
  voice->log().Write(LogLevel::kInfo, "stop", json::object());
  return ran;
}

std::string KeysFooter() {
  std::string text = "Keys of the configuration file (--config), which is YAML; sections nest at the dots:\n";
  for (const auto& key : server::NodeConfigKeys())
    text += fmt::format("  {:<38} {} (default {})\n", key.path, key.kind, key.fallback);
  return text + "Values may hold ${{ env.NAME }}. Options of the command line win over the file.";
}

}  // namespace

void AddServe(Commands& commands) {
  auto args = std::make_shared<ServeArgs>();
  auto* command = commands.Add("serve", "Run a node: take pushed records over HTTP",
                               "sluice serve --listen 127.0.0.1:8080\n\n" + KeysFooter(),
                               [args](Session& session) { return Serve(session, *args); });
  command->add_option("--config", args->config, "YAML file with all of this and more: see below");
  command->add_flag("--check-config", args->check,
                    "Only say whether this configuration can be served, and what it weakens");
  command->add_option("--pipelines", args->pipelines,
                      "Pipeline file, or folder of them, to run beside the node; may be repeated");
  for (const auto& key : server::NodeConfigKeys()) {
    if (key.option.empty()) continue;
    if (key.fallback == "false") {
      command->add_flag(key.option, args->flags[key.option], key.meaning);
    } else {
      command
          ->add_option(key.option, args->values[key.option],
                       fmt::format("{} (default {})", key.meaning, key.fallback))
          ->expected(1)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    }
  }
}

}  // namespace sluice::cli

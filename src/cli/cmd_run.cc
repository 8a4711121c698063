#include <csignal>
#include <optional>

#include "cli/commands.h"
#include "cli/pipeline_files.h"
#include "cli/pipeline_view.h"
#include "cli/status_server.h"
#include "cli/usage.h"
#include "pipeline/backoff.h"
#include "pipeline/host.h"

namespace sluice::cli {
namespace {

struct RunArgs {
  std::vector<std::string> files;
  std::string metrics;
  bool no_watch = false;
};

constexpr std::chrono::milliseconds kTick(100);
constexpr int kTicksOfView = 10;
constexpr int kTicksOfWatch = 10;

// Set by SIGHUP: all a signal handler may do.
volatile std::sig_atomic_t reload_is_asked = 0;

void CatchHangup() {
  struct sigaction action = {};
  action.sa_handler = [](int) { reload_is_asked = 1; };
  action.sa_flags = SA_RESTART;
  sigaction(SIGHUP, &action, nullptr);
}

Status RunPipelines(Session& session, const RunArgs& args) {
  auto host = pipeline::PipelineHost::Make(
      HostFor(session), [&session](const std::string& path) { return LoadPipeline(session, path); });
  std::unique_ptr<StatusServer> server;
  if (!args.metrics.empty()) {
    ASSIGN_OR_RETURN(server, StatusServer::Start(args.metrics, *host));
    session.Say("Metrics on {}/metrics, health on {}/readyz", server->url(), server->url());
  }
  CatchHangup();
  RETURN_IF_ERROR(host->Start(args.files));
  PipelineView view(session);
  Status fatal;
  for (int tick = 1; !session.stop().stop_requested() && fatal.ok(); ++tick) {
    pipeline::SleepFor(kTick, session.stop());
    if (reload_is_asked != 0) {
      reload_is_asked = 0;
      host->Reload(/*is_forced=*/true);
    } else if (!args.no_watch && tick % kTicksOfWatch == 0) {
      host->Reload(/*is_forced=*/false);
    }
    if (tick % kTicksOfView == 0) view.Show(*host);
    if (host->is_finished()) break;
    fatal = host->fatal();
  }
  if (session.stop().stop_requested()) session.Say("Stopping: taking no more, finishing what was taken");
  const Status stopped = host->Stop();
  view.Finish(*host);
  RETURN_IF_ERROR(fatal);
  return stopped;
}

}  // namespace

void AddRun(Commands& commands) {
  auto args = std::make_shared<RunArgs>();
  auto* command = commands.Add(
      "run", "Run pipelines until their inputs end or a signal comes",
      "sluice run feedback.yaml\n\n"
      "SIGTERM and Ctrl-C stop taking, finish what was taken and end with exit code 0; SIGHUP, or a change of a\n"
      "file, reloads. How to write a pipeline: docs/pipelines.md, or sluice new pipeline --from http --to postgres",
      [args](Session& session) { return RunPipelines(session, *args); });
  command->add_option("files", args->files, "Pipeline files")->required()->check(CLI::ExistingFile);
  command->add_option("--metrics", args->metrics,
                      "Serve /metrics, /healthz and /readyz at this address: PORT or HOST:PORT");
  command->add_flag("--no-watch", args->no_watch, "Reload on SIGHUP only, not when a file changes");
}

}  // namespace sluice::cli

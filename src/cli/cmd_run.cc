#include "cli/commands.h"
#include "cli/hosted_pipelines.h"
#include "cli/pipeline_view.h"
#include "cli/status_server.h"

namespace sluice::cli {
namespace {

struct RunArgs {
  std::vector<std::string> files;
  std::string metrics;
  bool no_watch = false;
};

Status RunPipelines(Session& session, const RunArgs& args) {
  ASSIGN_OR_RETURN(const auto files, PipelineFiles(args.files));
  auto host = MakePipelineHost(session);
  std::unique_ptr<StatusServer> server;
  if (!args.metrics.empty()) {
    ASSIGN_OR_RETURN(server, StatusServer::Start(args.metrics, *host));
    session.Say("Metrics on {}/metrics, health on {}/readyz", server->url(), server->url());
  }
  const Status started = host->Start(files);
  if (!started.ok() && session.stop().stop_requested()) {
    session.Say("Stopped while starting");
    return {};
  }
  RETURN_IF_ERROR(started);
  PipelineView view(session);
  const Status ran =
      KeepRunning(session, *host, !args.no_watch, /*is_beside_others=*/false, [&] { view.Show(*host); });
  if (session.stop().stop_requested()) session.Say("Stopping: taking no more, finishing what was taken");
  const Status stopped = host->Stop();
  view.Finish(*host);
  RETURN_IF_ERROR(ran);
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
  command->add_option("files", args->files, "Pipeline files, or folders of them")
      ->required()
      ->check(CLI::ExistingPath);
  command->add_option("--metrics", args->metrics,
                      "Serve /metrics, /healthz and /readyz at this address: PORT or HOST:PORT");
  command->add_flag("--no-watch", args->no_watch, "Reload on SIGHUP only, not when a file changes");
}

}  // namespace sluice::cli

#include "cli/hosted_pipelines.h"

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "cli/pipeline_files.h"
#include "pipeline/backoff.h"

namespace sluice::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kTick(100);
constexpr int kTicksOfSecond = 10;

// Set by SIGHUP: all that a signal handler may do.
volatile std::sig_atomic_t reload_is_asked = 0;

void CatchHangup() {
  struct sigaction action = {};
  action.sa_handler = [](int) { reload_is_asked = 1; };
  action.sa_flags = SA_RESTART;
  sigaction(SIGHUP, &action, nullptr);
}

}  // namespace

Result<std::vector<std::string>> PipelineFiles(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const auto& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      files.push_back(path);
      continue;
    }
    std::vector<std::string> found;
    for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
      const auto extension = entry->path().extension();
      if (extension == ".yaml" || extension == ".yml") found.push_back(entry->path().string());
    }
    if (error) return FromErrno(error.value(), fmt::format("cannot read the folder '{}'", path));
    if (found.empty()) return InvalidArgument("the folder '{}' has no pipelines: files named *.yaml", path);
    std::sort(found.begin(), found.end());
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

std::unique_ptr<pipeline::PipelineHost> MakePipelineHost(Session& session) {
  return pipeline::PipelineHost::Make(
      HostFor(session), [&session](const std::string& path) { return LoadPipeline(session, path); });
}

Status HowTheyAre(const pipeline::PipelineHost& host) {
  for (const auto& one : host.health()) {
    if (one.ailments.empty()) continue;
    return MakeError(ErrorCode::kUnavailable, "pipeline '{}': {}: {}", one.pipeline,
                     one.ailments.front().stage, one.ailments.front().reason);
  }
  return {};
}

// An input that ended by an error has not been read as a whole.
Status HowInputsEnded(const pipeline::PipelineHost& host) {
  for (const auto& one : host.health()) {
    for (const auto& ailment : one.ailments) {
      if (ailment.stage.starts_with("ingestor"))
        return MakeError(ErrorCode::kUnavailable, "pipeline '{}': {}: {}", one.pipeline, ailment.stage,
                         ailment.reason);
    }
  }
  return {};
}

Status KeepRunning(Session& session, pipeline::PipelineHost& host, bool watches_files, bool is_beside_others,
                   const std::function<void()>& on_tick) {
  CatchHangup();
  for (int tick = 1; !session.stop().stop_requested(); ++tick) {
    pipeline::SleepFor(kTick, session.stop());
    if (session.stop().stop_requested()) break;
    if (reload_is_asked != 0) {
      reload_is_asked = 0;
      host.Reload(/*is_forced=*/true);
    } else if (watches_files && tick % kTicksOfSecond == 0) {
      host.Reload(/*is_forced=*/false);
    }
    if (session.stop().stop_requested()) break;  // a reload takes its time
    if (on_tick && tick % kTicksOfSecond == 0) on_tick();
    if (is_beside_others) {
      host.StopBroken();
      host.StartMissing();
      continue;
    }
    RETURN_IF_ERROR(host.fatal());
    if (host.is_finished()) return HowInputsEnded(host);
  }
  return {};
}

}  // namespace sluice::cli

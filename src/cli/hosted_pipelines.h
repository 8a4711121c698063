#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "cli/session.h"
#include "pipeline/host.h"

namespace sluice::cli {

// The pipelines that a program runs: files, and all `*.yaml` and `*.yml` of folders. Errors: kInvalidArgument
// for a folder without any.
Result<std::vector<std::string>> PipelineFiles(const std::vector<std::string>& paths);

// Reads files with this program's templates, tells its notes.
std::unique_ptr<pipeline::PipelineHost> MakePipelineHost(Session& session);
// Why one of them cannot go on for now. OK while all can.
Status HowTheyAre(const pipeline::PipelineHost& host);

// Reloads the host's pipelines when their files change or SIGHUP came, until a stop is asked for, all have
// finished, or one cannot go on, which is the error. `is_beside_others`: only a stop ends it, as the program
// does more than this; a pipeline that cannot go on is stopped alone. `on_tick` is called about every second.
Status KeepRunning(Session& session, pipeline::PipelineHost& host, bool watches_files, bool is_beside_others,
                   const std::function<void()>& on_tick);

}  // namespace sluice::cli

#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "cli/session.h"
#include "pipeline/config.h"
#include "pipeline/runner.h"

namespace sluice::cli {

// Reads pipeline files: `${{ env.NAME || 'default' }}` takes the process environment's variables.
Result<pipeline::PipelineConfig> LoadPipeline(const Session& session, const std::string& path);

// What a runner needs of this program; notes go to standard error.
pipeline::RunnerHost HostFor(Session& session);

}  // namespace sluice::cli

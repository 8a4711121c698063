#include "cli/pipeline_files.h"

#include <cstdlib>

#include "fetch/template.h"

namespace sluice::cli {
namespace {

class ProcessVariables final : public fetch::Variables {
 public:
  Result<std::optional<Value>> Find(const std::string& name) const override {
    const char* text = std::getenv(name.c_str());
    if (text == nullptr) return std::optional<Value>();
    return std::optional<Value>(Value{text, false});
  }
};

}  // namespace

Result<pipeline::PipelineConfig> LoadPipeline(const Session& session, const std::string& path) {
  const ProcessVariables variables;
  fetch::Redactor redactor;
  return pipeline::LoadConfig(path, session.registry(), [&](std::string_view text) {
    return fetch::ExpandTemplate(text, variables, redactor);
  });
}

pipeline::RunnerHost HostFor(Session& session) {
  return {session.clock(), session.registry(), [&session](const std::string& line) { session.Say(line); },
          session.stop()};
}

}  // namespace sluice::cli

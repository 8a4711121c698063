#include "pipeline/config.h"
#include "pipeline/host_environment.h"
#include "pipeline/settings_reader.h"
#include "pipeline/testing/conformance.h"

namespace sluice::pipeline::testing {

struct ConnectorMaker::Impl {
  Impl(const Registry& given, std::string folder)
      : registry(given),
        config(Config(std::move(folder))),
        environment(clock, registry, config, nullptr, metrics) {}
  static PipelineConfig Config(std::string folder) {
    PipelineConfig config;
    config.name = "conformance";
    config.file = folder + "/conformance.yaml";
    return config;
  }
  Result<Settings> Read(const std::string& yaml, ConnectorKind kind) {
    ASSIGN_OR_RETURN(const Tree tree, ReadTree(yaml, "conformance.yaml", [](std::string_view whole) {
                       return Result<std::string>(std::string(whole));
                     }));
    return SettingsReader(registry).Read(tree, kind);
  }

  const Registry& registry;
  SystemClock clock;
  PipelineConfig config;
  PipelineMetrics metrics{"conformance"};
  HostEnvironment environment;
};

ConnectorMaker::ConnectorMaker(const Registry& registry, std::string folder)
    : impl_(std::make_unique<Impl>(registry, std::move(folder))) {}
ConnectorMaker::~ConnectorMaker() = default;

Result<std::unique_ptr<Ingestor>> ConnectorMaker::MakeIngestor(const std::string& yaml) {
  ASSIGN_OR_RETURN(const Settings settings, impl_->Read(yaml, ConnectorKind::kIngestor));
  return impl_->registry.MakeIngestor(settings, impl_->environment);
}

Result<std::unique_ptr<IngestionWriter>> ConnectorMaker::MakeWriter(const std::string& yaml) {
  ASSIGN_OR_RETURN(const Settings settings, impl_->Read(yaml, ConnectorKind::kWriter));
  return impl_->registry.MakeWriter(settings, impl_->environment);
}

}  // namespace sluice::pipeline::testing

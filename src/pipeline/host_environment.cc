#include "pipeline/host_environment.h"

#include <filesystem>

#include "storage/disk.h"

namespace sluice::pipeline {
namespace {

std::string FolderOf(const std::string& file) {
  const auto folder = std::filesystem::absolute(file).parent_path();
  return folder.lexically_normal().string();
}

}  // namespace

HostEnvironment::HostEnvironment(const Clock& clock, const Registry& registry, const PipelineConfig& config,
                                 std::function<void(const std::string&)> note, PipelineMetrics& metrics,
                                 std::stop_token stop)
    : clock_(clock),
      registry_(registry),
      name_(config.name),
      folder_(FolderOf(config.file)),
      state_(config.state),
      secrets_(config.secrets),
      note_(std::move(note)),
      metrics_(metrics),
      stop_(std::move(stop)) {}

std::string HostEnvironment::Resolve(const std::string& path) const {
  return (std::filesystem::path(folder_) / path).lexically_normal().string();
}

Result<std::string> HostEnvironment::StateFolder() {
  const std::string folder = Resolve(state_);
  RETURN_IF_ERROR(storage::MakeFolders(storage::Disk::Real(), folder));
  return folder;
}

void HostEnvironment::Note(const std::string& line) {
  if (note_) note_(Clean(name_ + ": " + line));
}

std::string HostEnvironment::Clean(std::string text) const {
  return secrets_.empty() ? text : HideSecrets(std::move(text), secrets_);
}

}  // namespace sluice::pipeline

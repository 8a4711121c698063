#include "pipeline/host_environment.h"

#include <algorithm>
#include <filesystem>

#include "storage/disk.h"

namespace sluice::pipeline {
namespace {

// Shorter values would take the text around them apart, and are no secrets.
constexpr size_t kShortestSecret = 4;

std::string FolderOf(const std::string& file) {
  const auto folder = std::filesystem::absolute(file).parent_path();
  return folder.lexically_normal().string();
}

}  // namespace

HostEnvironment::HostEnvironment(const Clock& clock, const Registry& registry, const PipelineConfig& config,
                                 std::function<void(const std::string&)> note)
    : clock_(clock),
      registry_(registry),
      name_(config.name),
      folder_(FolderOf(config.file)),
      state_(config.state),
      note_(std::move(note)) {
  for (const auto& secret : config.secrets) {
    if (secret.size() >= kShortestSecret) secrets_.push_back(secret);
  }
  std::sort(secrets_.begin(), secrets_.end(),
            [](const auto& a, const auto& b) { return a.size() > b.size(); });
}

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
  for (const auto& secret : secrets_) {
    for (size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at + 3))
      text.replace(at, secret.size(), "***");
  }
  return text;
}

}  // namespace sluice::pipeline

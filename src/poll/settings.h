#pragma once

#include <memory>
#include <string>

#include "poll/pull.h"
#include "workspace/config.h"
#include "workspace/secrets.h"
#include "workspace/workspace.h"

namespace sluice::poll {

// How far `env.NAME` of a source reaches (push-protocol.md 8): a manifest that came from elsewhere would send
// what it reads to whom it likes.
enum class Reach {
  kEverything,
  kDatasetOrError,  // what lies beyond the dataset is refused, saying how to allow it
  kDatasetAlone,  // what lies beyond is as if it were not there: who uploaded the source learns nothing of it
};

// What `env.NAME` finds: secret and variable of the dataset, secret and variable of the workspace, the
// process environment. Thread-compatible.
class WorkspaceVariables final : public fetch::Variables {
 public:
  // `config` and `secrets` must outlive it.
  WorkspaceVariables(const workspace::Config& config, const workspace::Secrets& secrets, std::string alias,
                     Reach reach)
      : config_(config), secrets_(secrets), alias_(std::move(alias)), reach_(reach) {}
  Result<std::optional<Value>> Find(const std::string& name) const override;

 private:
  Result<std::optional<Value>> FindOf(const std::string& alias, const std::string& name) const;
  bool IsBeyond(const std::string& name) const;

  const workspace::Config& config_;
  const workspace::Secrets& secrets_;
  std::string alias_;
  Reach reach_;
};

// For who may do so much, in the words of a command line.
inline Reach ReachOf(const fetch::Capabilities& may) {
  return may.environment ? Reach::kEverything : Reach::kDatasetOrError;
}

// Settings of pulls from the workspace's configuration. The variables are the caller's to give.
PullSettings SettingsFrom(const workspace::Config& config, const Clock& clock, std::string user_agent);

// What a source may do in this workspace: everything when its user wrote or trusts it, else only reading
// files and public addresses.
Result<fetch::Capabilities> CapabilitiesOf(const std::string& workspace_root,
                                           const odf::SetPollingSource& source);

}  // namespace sluice::poll

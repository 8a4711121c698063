#pragma once

#include <memory>
#include <string>

#include "poll/pull.h"
#include "workspace/config.h"
#include "workspace/secrets.h"
#include "workspace/workspace.h"

namespace sluice::poll {

// What `env.NAME` finds: secret and variable of the dataset, secret and variable of the workspace, the
// process environment unless it is out of reach. Thread-compatible.
class WorkspaceVariables final : public fetch::Variables {
 public:
  // `config` and `secrets` must outlive it.
  WorkspaceVariables(const workspace::Config& config, const workspace::Secrets& secrets, std::string alias,
                     bool may_read_environment)
      : config_(config),
        secrets_(secrets),
        alias_(std::move(alias)),
        may_read_environment_(may_read_environment) {}
  Result<std::optional<Value>> Find(const std::string& name) const override;

 private:
  const workspace::Config& config_;
  const workspace::Secrets& secrets_;
  std::string alias_;
  bool may_read_environment_;
};

// Settings of pulls from the workspace's configuration. The variables are the caller's to give.
PullSettings SettingsFrom(const workspace::Config& config, const Clock& clock, std::string user_agent);

// What a source may do in this workspace: everything when its user wrote or trusts it, else only reading
// files and public addresses.
Result<fetch::Capabilities> CapabilitiesOf(const std::string& workspace_root,
                                           const odf::SetPollingSource& source);

}  // namespace sluice::poll

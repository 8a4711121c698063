#include "poll/settings.h"

#include <algorithm>
#include <cstdlib>

#include "workspace/trust.h"

namespace sluice::poll {

Result<std::optional<fetch::Variables::Value>> WorkspaceVariables::FindOf(const std::string& alias,
                                                                          const std::string& name) const {
  ASSIGN_OR_RETURN(auto secret, secrets_.Find(alias, name));
  if (secret) return std::optional(Value{std::move(*secret), true});
  if (auto variable = config_.Variable(alias, name)) return std::optional(Value{std::move(*variable), false});
  return std::optional<Value>();
}

// Whether the workspace or the environment has it: no value is read for that.
bool WorkspaceVariables::IsBeyond(const std::string& name) const {
  const auto secrets = secrets_.Names();
  return std::getenv(name.c_str()) != nullptr || config_.Variable("", name) ||
         std::any_of(secrets.begin(), secrets.end(),
                     [&](const auto& secret) { return secret.alias.empty() && secret.name == name; });
}

Result<std::optional<fetch::Variables::Value>> WorkspaceVariables::Find(const std::string& name) const {
  ASSIGN_OR_RETURN(auto own, FindOf(alias_, name));
  if (own) return own;
  if (reach_ == Reach::kEverything) {
    ASSIGN_OR_RETURN(auto shared, FindOf("", name));
    if (shared) return shared;
    const char* text = std::getenv(name.c_str());
    return text == nullptr ? std::optional<Value>() : std::optional(Value{text, true});
  }
  if (reach_ == Reach::kDatasetOrError && IsBeyond(name)) {
    return MakeError(
        ErrorCode::kPermissionDenied,
        "this source may not read '{0}' from the workspace or the environment: its manifest came "
        "from elsewhere; 'sluice source trust {1}' allows it, and 'sluice secrets set {0} "
        "--dataset {1}' gives it a value of its own",
        name, alias_);
  }
  return std::optional<Value>();
}

PullSettings SettingsFrom(const workspace::Config& config, const Clock& clock, std::string user_agent) {
  PullSettings settings;
  settings.clock = &clock;
  settings.http.user_agent =
      config.IsSet("source.http.userAgent") ? config.Text("source.http.userAgent") : user_agent;
  settings.http.connect_timeout = config.Duration("source.http.connectTimeout");
  settings.http.stall_timeout = config.Duration("source.http.stallTimeout");
  settings.http.max_redirects = static_cast<int>(config.Count("source.http.maxRedirects"));
  settings.http.retries = static_cast<int>(config.Count("source.http.maxRetries"));
  settings.http.max_bytes = static_cast<uint64_t>(config.Count("source.http.maxBytes"));
  if (config.IsSet("source.http.proxy")) settings.http.proxy = config.Text("source.http.proxy");
  settings.http.ca_file = config.Text("source.http.caFile");
  settings.limits.max_bytes = static_cast<uint64_t>(config.Count("source.maxExpandedBytes"));
  settings.limits.max_ratio = config.Number("source.maxExpansion");
  settings.max_files = static_cast<size_t>(config.Count("source.filesGlob.maxFiles"));
  settings.max_rows = config.Count("source.filesGlob.maxRows");
  settings.commands = config.Commands();
  settings.state_name = config.Text("polling_state_name");
  return settings;
}

Result<fetch::Capabilities> CapabilitiesOf(const std::string& workspace_root,
                                           const odf::SetPollingSource& source) {
  ASSIGN_OR_RETURN(const auto trust, workspace::TrustOf(workspace_root, source));
  fetch::Capabilities may;
  may.commands = may.environment = trust != workspace::Trust::kNone;
  may.private_addresses = trust == workspace::Trust::kWhole;
  return may;
}

}  // namespace sluice::poll

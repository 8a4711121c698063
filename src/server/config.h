#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "auth/authenticator.h"
#include "base/result.h"
#include "gateway/gateway.h"
#include "net/http_server.h"
#include "server/capability.h"
#include "server/compactor.h"
#include "server/limits.h"
#include "server/log_lines.h"
#include "server/quotas.h"

namespace sluice::server {

// Everything that a node's configuration says; the defaults are those of a file that says nothing.
struct NodeConfig {
  std::vector<net::HttpEndpoint> listen;  // never empty; with TLS where it is configured
  bool insecure_http = false;  // tokens may pass over plain connections on other addresses than loopback
  std::optional<auth::JwtOptions> jwt;
  gateway::GatewayOptions gateway;
  net::HttpServerOptions http;
  LogOptions log;
  std::string access_log;  // a file, `-` for standard error; empty = none
  std::chrono::milliseconds shutdown{10'000};
  std::vector<CompactionRule> compaction;
  bool runs_schedules = true;
  int pull_jobs = 4;
  Quota quota;  // of accounts that have none of their own
  std::map<std::string, Quota> account_quotas;
  Limits limits;
  std::set<Capability> capabilities;  // of accounts that have none of their own
  std::map<std::string, std::set<Capability>> account_capabilities;
  // What weakens the node's guarantees and was asked for, in plain words; for `explain` and the log.
  std::vector<std::string> weakened;

  bool is_loopback_only() const;
};

// Gathers a configuration from a YAML file and from options of the command line, which win. Confined to one
// thread.
class ConfigReader {
 public:
  // `environment` gives what `${{ env.NAME }}` in a value of the file stands for.
  using Environment = std::function<std::optional<std::string>(const std::string& name)>;
  explicit ConfigReader(Environment environment);
  ~ConfigReader();

  // Errors: kInvalidArgument `FILE:LINE: ...` for an unknown key (with near names), a value of another kind,
  // a variable that is not set; values that came from variables are not shown. Those of reading the file.
  Status ReadFile(const std::string& path);
  Status Read(std::string_view yaml, const std::string& origin);
  // `option` as in ConfigKeys. Given again it adds to those keys that take several values.
  Status SetOption(const std::string& option, const std::string& value);
  // The value of `path`, as an option would give it, unless something has set it; `origin` says in messages
  // where it comes from.
  Status SetFallback(const std::string& path, const std::string& value, const std::string& origin);
  // The configuration as a whole. Errors: kInvalidArgument for what does not go together, and for what
  // would weaken a guarantee without being accepted by name (push-protocol.md 3, 5, 8).
  Result<NodeConfig> Finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Of the process.
std::optional<std::string> ProcessEnvironment(const std::string& name);

struct ConfigKeyInfo {
  std::string path;    // `limits.batch`; `*` stands for an account's name
  std::string option;  // `--listen`; empty = in files alone
  std::string kind, fallback, meaning;
};
std::vector<ConfigKeyInfo> NodeConfigKeys();
// The keys as a table for docs/node.md.
std::string DescribeNodeConfig();

}  // namespace sluice::server

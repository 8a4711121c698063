#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

// The configuration of a workspace: `.sluice/config.yaml` (odf-ingest.md 5.11).
namespace sluice::workspace {

enum class ConfigType { kText, kCount, kNumber, kDuration, kBytes, kName };

struct ConfigKey {
  std::string_view name;  // `source.http.userAgent`
  ConfigType type;
  std::string_view default_value;
  std::string_view help;
  bool has_effect = true;  // false: for sources that this version cannot pull; kept and checked
};

std::span<const ConfigKey> ConfigKeys();

// When datasets are pulled by themselves.
struct ScheduleEntry {
  std::vector<std::string> datasets;  // names or patterns with %
  std::string cron;                   // five fields, UTC; or
  std::chrono::milliseconds every{0};
  std::chrono::milliseconds jitter{0};  // at most so much later
  bool catch_up = true;                 // a run that was missed is made up for, once
  int retries = 3;                      // after a failure, before its regular time
  std::chrono::milliseconds first_backoff{30'000}, longest_backoff{600'000};
};

// Thread-compatible.
class Config {
 public:
  // A missing file is an empty one. Errors: kInvalidArgument naming file, key, value and near names.
  static Result<Config> Load(const std::string& workspace_root);
  Config(const Config&);
  Config(Config&&) noexcept;
  Config& operator=(Config&&) noexcept;
  ~Config();

  // As written, else the default. `key` is one of ConfigKeys.
  std::string Text(std::string_view key) const;
  int64_t Count(std::string_view key) const;  // also kBytes
  double Number(std::string_view key) const;
  std::chrono::milliseconds Duration(std::string_view key) const;
  bool IsSet(std::string_view key) const;

  // `variables.NAME`, of one dataset (`datasets.ALIAS.variables.NAME`) or, with an empty alias, of the
  // workspace.
  std::optional<std::string> Variable(const std::string& alias, const std::string& name) const;
  std::map<std::string, std::string> Variables(const std::string& alias) const;
  // `source.exec.NAME`: commands that `exec:NAME` runs, in words.
  std::map<std::string, std::vector<std::string>> Commands() const;
  const std::vector<ScheduleEntry>& schedule() const;

  // Changes and writes the file, durably. `alias` goes with variables alone. Errors: kInvalidArgument for an
  // unknown key and a value that does not fit.
  Status Set(const std::string& alias, const std::string& key, const std::string& value);
  Status Unset(const std::string& alias, const std::string& key);
  // Gives another dataset the variables of one that has some; takes all of them from one.
  Status CopyVariables(const std::string& alias, const std::string& to);
  Status UnsetVariables(const std::string& alias);

 private:
  struct Impl;
  explicit Config(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Letters, digits, `_` and `-`.
bool IsVariableName(std::string_view name);

}  // namespace sluice::workspace

#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "server/config.h"
#include "server/config_values.h"

// The table of a node's configuration. For config.cc alone.
namespace sluice::server {

// A configuration on its way: what the keys fill.
struct ConfigDraft {
  NodeConfig config;
  net::TlsFiles tls;
  std::set<std::string> accepted;  // weakenings
  uint64_t slice_records = CompactionRule().max_slice_records;
  uint64_t slice_bytes = CompactionRule().max_slice_bytes;
};

struct ConfigKey {
  ConfigKeyInfo info;
  // `account` is what stands for `*` in the key's path.
  std::function<Status(ConfigDraft*, const ConfigValue& value, const std::string& account)> set;
};

const std::vector<ConfigKey>& ConfigKeyTable();

// What a configuration may accept to be weakened, by name, and what that means.
struct Weakening {
  std::string name, meaning;
};
const std::vector<Weakening>& Weakenings();

// Less than this is a weakening.
inline constexpr std::chrono::seconds kShortKeyWindow{3600};
inline constexpr size_t kFewKeys = 10'000;

}  // namespace sluice::server

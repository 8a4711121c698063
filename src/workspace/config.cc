#include "workspace/config.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/names.h"
#include "base/quantity.h"
#include "odf/yaml_json.h"
#include "workspace/config_text.h"
#include "workspace/file_write.h"

namespace sluice::workspace {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::milliseconds;

constexpr ConfigKey kKeys[] = {
    {"polling_state_name", ConfigType::kName, "odf/polling",
     "name under which states of polling sources are written; 'default' for a workspace shared with kamu"},
    {"source.http.userAgent", ConfigType::kText, "sluice", "what servers are told"},
    {"source.http.connectTimeout", ConfigType::kDuration, "30s", "wait for a connection"},
    {"source.http.stallTimeout", ConfigType::kDuration, "60s", "wait for the next byte"},
    {"source.http.maxRedirects", ConfigType::kCount, "10", "redirects followed"},
    {"source.http.maxRetries", ConfigType::kCount, "3", "tries after a failure that brings nothing new"},
    {"source.http.maxBytes", ConfigType::kBytes, "0", "largest download; 0 = no limit"},
    {"source.http.proxy", ConfigType::kText, "", "proxy; default: what the environment says"},
    {"source.http.caFile", ConfigType::kText, "", "certificates trusted instead of the system's"},
    {"source.filesGlob.maxFiles", ConfigType::kCount, "1000", "files in one commit"},
    {"source.filesGlob.maxRows", ConfigType::kCount, "1000000",
     "rows after which a commit takes no further file; 0 = no limit"},
    {"source.maxExpandedBytes", ConfigType::kBytes, "256GiB", "largest content of compressed data"},
    {"source.maxExpansion", ConfigType::kNumber, "250", "how many times compressed data may expand"},
    {"source.targetRecordsPerSlice", ConfigType::kCount, "10000", "records asked of a container or broker",
     false},
    {"source.mqtt.brokerIdleTimeout", ConfigType::kDuration, "1s", "silence that ends a poll", false},
    {"source.ethereum.rpcEndpoints", ConfigType::kText, "", "nodes by chain", false},
    {"source.ethereum.getLogsBlockStride", ConfigType::kCount, "100000", "blocks a call", false},
    {"source.ethereum.commitAfterBlocksScanned", ConfigType::kCount, "1000000", "blocks a commit", false},
    {"source.ethereum.useBlockTimestampFallback", ConfigType::kText, "false", "ask for times of blocks",
     false},
    {"engine.datafusionEmbedded.base", ConfigType::kText, "", "settings of another engine", false},
    {"engine.datafusionEmbedded.ingest", ConfigType::kText, "", "settings of another engine", false},
    {"uploads.maxFileSizeInMb", ConfigType::kCount, "50",
     "largest file that a node takes by upload, in MiB; at most 64"},
};

const ConfigKey* FindKey(std::string_view name) {
  for (const auto& key : kKeys) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

Error UnknownKey(const std::string& name) {
  std::vector<std::string> names{"variables", "datasets", "schedule"};
  for (const auto& key : kKeys) names.emplace_back(key.name);
  const auto near = NearNames(name, names);
  return InvalidArgument("unknown configuration key '{}'{}; 'sluice config list' shows them", name,
                         near.empty() ? "" : " (did you mean '" + near.front() + "'?)");
}

std::string TextOf(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

Status CheckValue(const ConfigKey& key, const std::string& text) {
  auto with = [&](Error error) { return std::move(error).With(std::string(key.name)); };
  switch (key.type) {
    case ConfigType::kText:
      return {};
    case ConfigType::kName:
      if (text == "odf/polling" || text == "default") return {};
      return with(InvalidArgument("'{}' is neither odf/polling nor default", text));
    case ConfigType::kCount: {
      int64_t value = -1;
      const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
      if (end.ec == std::errc() && end.ptr == text.data() + text.size() && value >= 0) return {};
      return with(InvalidArgument("'{}' is not a count", text));
    }
    case ConfigType::kNumber: {
      double value = 0;
      const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
      if (end.ec == std::errc() && end.ptr == text.data() + text.size() && value > 0 && std::isfinite(value))
        return {};
      return with(InvalidArgument("'{}' is not a positive number", text));
    }
    case ConfigType::kDuration: {
      auto value = ParseDuration(text, BareNumber::kSeconds);
      return value.ok() ? OkStatus() : Status(with(std::move(value).error()));
    }
    case ConfigType::kBytes: {
      auto value = ParseByteCount(text);
      return value.ok() ? OkStatus() : Status(with(std::move(value).error()));
    }
  }
  return {};
}

Status CheckVariables(const Json& variables) {
  if (!variables.is_object()) return InvalidArgument("variables: names with values are expected");
  for (const auto& [name, value] : variables.items()) {
    if (!IsVariableName(name))
      return InvalidArgument("variables: '{}' is not a name: letters, digits, _ and -", name);
    if (value.is_structured()) return InvalidArgument("variables.{}: a text is expected", name);
  }
  return {};
}

// A list of words, or a text: words between blanks, or such a list as JSON.
Result<std::vector<std::string>> ParseCommand(const Json& value) {
  Json list = value;
  if (value.is_string() && value.get<std::string>().starts_with("["))
    list = Json::parse(value.get<std::string>(), nullptr, false);
  std::vector<std::string> words;
  if (list.is_array()) {
    for (const auto& word : list) {
      if (word.is_structured() || word.is_null()) return InvalidArgument("a list of words is expected");
      words.push_back(TextOf(word));
    }
  } else if (list.is_string()) {
    std::istringstream text(list.get<std::string>());
    for (std::string word; text >> word;) words.push_back(word);
  } else {
    return InvalidArgument("a program with its arguments is expected");
  }
  if (words.empty() || words.front().empty()) return InvalidArgument("a program is expected");
  return words;
}

Status CheckCommands(const Json& commands) {
  if (!commands.is_object()) return InvalidArgument("source.exec: names with commands are expected");
  for (const auto& [name, value] : commands.items()) {
    if (!IsVariableName(name))
      return InvalidArgument("source.exec: '{}' is not a name: letters, digits, _ and -", name);
    if (auto words = ParseCommand(value); !words.ok())
      return std::move(words).error().With("source.exec." + name);
  }
  return {};
}

// Known keys below `prefix`, with values that fit.
Status CheckTree(const Json& tree, const std::string& prefix) {
  for (const auto& [name, value] : tree.items()) {
    const std::string key = prefix.empty() ? name : prefix + "." + name;
    if (key == "schedule") continue;
    if (key == "variables") {
      RETURN_IF_ERROR(CheckVariables(value));
    } else if (key == "source.exec") {
      RETURN_IF_ERROR(CheckCommands(value));
    } else if (key == "datasets") {
      if (!value.is_object()) return InvalidArgument("datasets: names of datasets are expected");
      for (const auto& [alias, of] : value.items()) {
        if (!of.is_object()) return InvalidArgument("datasets.{}: 'variables' is expected", alias);
        for (const auto& [part, variables] : of.items()) {
          if (part != "variables") return UnknownKey("datasets." + alias + "." + part);
          RETURN_IF_ERROR(CheckVariables(variables));
        }
      }
    } else if (const auto* known = FindKey(key)) {
      RETURN_IF_ERROR(CheckValue(*known, TextOf(value)));
    } else if (value.is_object() && std::any_of(std::begin(kKeys), std::end(kKeys), [&](const ConfigKey& k) {
                 return k.name.starts_with(key + ".");
               })) {
      RETURN_IF_ERROR(CheckTree(value, key));
    } else {
      return UnknownKey(key);
    }
  }
  return {};
}

Result<ScheduleEntry> ParseEntry(const Json& json) {
  if (!json.is_object()) return InvalidArgument("an entry with 'datasets' and 'cron' or 'every' is expected");
  ScheduleEntry entry;
  for (const auto& [name, value] : json.items()) {
    const std::string text = TextOf(value);
    if (name == "datasets") {
      if (value.is_string()) entry.datasets.push_back(text);
      if (value.is_array()) {
        for (const auto& one : value) entry.datasets.push_back(TextOf(one));
      }
    } else if (name == "cron") {
      entry.cron = text;
    } else if (name == "every") {
      ASSIGN_OR_RETURN(entry.every, ParseDuration(text, BareNumber::kSeconds));
    } else if (name == "jitter") {
      ASSIGN_OR_RETURN(entry.jitter, ParseDuration(text, BareNumber::kSeconds));
    } else if (name == "firstBackoff") {
      ASSIGN_OR_RETURN(entry.first_backoff, ParseDuration(text, BareNumber::kSeconds));
    } else if (name == "longestBackoff") {
      ASSIGN_OR_RETURN(entry.longest_backoff, ParseDuration(text, BareNumber::kSeconds));
    } else if (name == "retries" && value.is_number_unsigned()) {
      entry.retries = value.get<int>();
    } else if (name == "catchUp" && (text == "once" || text == "skip")) {
      entry.catch_up = text == "once";
    } else {
      return InvalidArgument(
          "'{}: {}' is none of: datasets, cron, every, jitter, retries, firstBackoff, longestBackoff, catchUp (once, skip)",
          name, text);
    }
  }
  if (entry.datasets.empty()) return InvalidArgument("datasets is missing");
  if (json.contains("every") && entry.every < std::chrono::seconds(1))
    return InvalidArgument("every is less than a second");
  if (entry.cron.empty() != json.contains("every"))
    return InvalidArgument("either cron or every is expected");
  return entry;
}

}  // namespace

struct Config::Impl {
  std::string path;
  std::string text;  // of the file
  Json tree = Json::object();
  std::vector<ScheduleEntry> schedule;

  Status Judge() {
    if (!tree.is_object()) return InvalidArgument("keys with values are expected");
    RETURN_IF_ERROR(CheckTree(tree, ""));
    schedule.clear();
    if (!tree.contains("schedule")) return {};
    if (!tree["schedule"].is_array()) return InvalidArgument("schedule: a list is expected");
    for (const auto& one : tree["schedule"]) {
      auto entry = ParseEntry(one);
      if (!entry.ok())
        return std::move(entry).error().With(fmt::format("schedule: entry {}", schedule.size() + 1));
      schedule.push_back(std::move(*entry));
    }
    return {};
  }

  const Json* Find(std::string_view key) const {
    const Json* at = &tree;
    while (true) {
      const size_t dot = key.find('.');
      const std::string name(key.substr(0, dot));
      if (!at->is_object() || !at->contains(name)) return nullptr;
      at = &(*at)[name];
      if (dot == std::string_view::npos) return at;
      key.remove_prefix(dot + 1);
    }
  }

  // What its writer put into the file besides values stays there. Errors: kUnsupported where it cannot, and
  // must.
  Status Save(bool may_lose_comments) {
    if (auto edited = EditConfigText(text, tree)) {
      text = std::move(*edited);
    } else if (!may_lose_comments && text.find('#') != std::string::npos) {
      return Unsupported(
          "'{}' is written in a way in which this change would lose its comments: change it by hand", path);
    } else {
      ASSIGN_OR_RETURN(text, odf::JsonToYaml(tree.dump()));
    }
    return WriteFileDurably(path, text, 0644);
  }
};

Config::Config(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Config::Config(const Config& other) : impl_(std::make_unique<Impl>(*other.impl_)) {}
Config::Config(Config&&) noexcept = default;
Config& Config::operator=(Config&&) noexcept = default;
Config::~Config() = default;

std::span<const ConfigKey> ConfigKeys() { return kKeys; }

Result<Config> Config::Load(const std::string& workspace_root) {
  auto impl = std::make_unique<Impl>();
  impl->path = workspace_root + "/config.yaml";
  std::ifstream file(impl->path, std::ios::binary);
  if (file) {
    impl->text.assign(std::istreambuf_iterator<char>(file), {});
    ASSIGN_OR_RETURN(const auto json, odf::YamlToJson(impl->text, impl->path));
    impl->tree = Json::parse(json, nullptr, false);
    if (impl->tree.is_null()) impl->tree = Json::object();
    auto status = impl->Judge();
    if (!status.ok()) return std::move(status).error().With(impl->path);
  }
  return Config(std::move(impl));
}

bool Config::IsSet(std::string_view key) const { return impl_->Find(key) != nullptr; }

std::string Config::Text(std::string_view key) const {
  if (const auto* value = impl_->Find(key)) return TextOf(*value);
  const auto* known = FindKey(key);
  return known != nullptr ? std::string(known->default_value) : "";
}

int64_t Config::Count(std::string_view key) const {
  return static_cast<int64_t>(ParseByteCount(Text(key)).value_or(0));
}
milliseconds Config::Duration(std::string_view key) const {
  return ParseDuration(Text(key), BareNumber::kSeconds).value_or(milliseconds(0));
}
double Config::Number(std::string_view key) const { return std::strtod(Text(key).c_str(), nullptr); }

std::optional<std::string> Config::Variable(const std::string& alias, const std::string& name) const {
  const auto all = Variables(alias);
  const auto it = all.find(name);
  return it == all.end() ? std::nullopt : std::optional(it->second);
}

std::map<std::string, std::string> Config::Variables(const std::string& alias) const {
  std::map<std::string, std::string> variables;
  const auto& tree = impl_->tree;
  const Json* found = nullptr;
  if (alias.empty()) {
    found = impl_->Find("variables");
  } else if (tree.contains("datasets") && tree["datasets"].contains(alias) &&
             tree["datasets"][alias].contains("variables")) {
    found = &tree["datasets"][alias]["variables"];
  }
  if (found != nullptr) {
    for (const auto& [name, value] : found->items()) variables[name] = TextOf(value);
  }
  return variables;
}

std::map<std::string, std::vector<std::string>> Config::Commands() const {
  std::map<std::string, std::vector<std::string>> commands;
  if (const auto* found = impl_->Find("source.exec")) {
    for (const auto& [name, value] : found->items())
      commands[name] = ParseCommand(value).value_or(std::vector<std::string>());
  }
  return commands;
}

const std::vector<ScheduleEntry>& Config::schedule() const { return impl_->schedule; }

namespace {

// The object that holds `key`, and the last part of its name.
Result<std::pair<Json*, std::string>> PlaceOf(Json& tree, const std::string& alias, const std::string& key) {
  Json* at = &tree;
  if (key.starts_with("variables.")) {
    const std::string name = key.substr(10);
    if (!IsVariableName(name)) return InvalidArgument("'{}' is not a name: letters, digits, _ and -", name);
    if (!alias.empty()) at = &(*at)["datasets"][alias];
    return std::pair(&(*at)["variables"], name);
  }
  if (!alias.empty()) return InvalidArgument("only variables.NAME can be set for one dataset, not '{}'", key);
  if (key == "schedule" || key.starts_with("schedule."))
    return InvalidArgument("schedules are lists, and are written into the file: see docs/polling.md");
  if (FindKey(key) == nullptr && !key.starts_with("source.exec.")) return UnknownKey(key);
  std::string_view rest = key;
  for (size_t dot = rest.find('.'); dot != std::string_view::npos; dot = rest.find('.')) {
    at = &(*at)[std::string(rest.substr(0, dot))];
    rest.remove_prefix(dot + 1);
  }
  return std::pair(at, std::string(rest));
}

bool IsUtf8(const std::string& text) {
  const auto write = [&](Json::error_handler_t how) { return Json(text).dump(-1, ' ', false, how); };
  return write(Json::error_handler_t::ignore) == write(Json::error_handler_t::replace);
}

// Mappings without anything in them, which `PlaceOf` may have made.
void DropEmpty(Json* tree) {
  for (auto it = tree->begin(); it != tree->end();) {
    if (it->is_object()) DropEmpty(&*it);
    it = it->is_object() && it->empty() ? tree->erase(it) : std::next(it);
  }
}

}  // namespace

Status Config::Set(const std::string& alias, const std::string& key, const std::string& value) {
  if (!IsUtf8(value)) return InvalidArgument("the value of '{}' is not UTF-8", key);
  auto changed = std::make_unique<Impl>(*impl_);
  ASSIGN_OR_RETURN(auto place, PlaceOf(changed->tree, alias, key));
  const auto* known = FindKey(key);
  int64_t count = 0;
  const auto end = std::from_chars(value.data(), value.data() + value.size(), count);
  const bool is_count = known != nullptr && known->type == ConfigType::kCount && end.ec == std::errc() &&
                        end.ptr == value.data() + value.size();
  (*place.first)[place.second] = is_count ? Json(count) : Json(value);
  RETURN_IF_ERROR(changed->Judge());
  RETURN_IF_ERROR(changed->Save(false));
  impl_ = std::move(changed);
  return {};
}

Status Config::Unset(const std::string& alias, const std::string& key) {
  auto changed = std::make_unique<Impl>(*impl_);
  ASSIGN_OR_RETURN(auto place, PlaceOf(changed->tree, alias, key));
  if (place.first->is_object()) place.first->erase(place.second);
  DropEmpty(&changed->tree);
  RETURN_IF_ERROR(changed->Save(false));
  impl_ = std::move(changed);
  return {};
}

Status Config::CopyVariables(const std::string& alias, const std::string& to) {
  const auto variables = Variables(alias);
  if (variables.empty()) return {};
  auto changed = std::make_unique<Impl>(*impl_);
  for (const auto& [name, value] : variables) changed->tree["datasets"][to]["variables"][name] = value;
  RETURN_IF_ERROR(changed->Save(true));
  impl_ = std::move(changed);
  return {};
}

Status Config::UnsetVariables(const std::string& alias) {
  if (impl_->Find("datasets") == nullptr || !impl_->Find("datasets")->contains(alias)) return {};
  auto changed = std::make_unique<Impl>(*impl_);
  changed->tree["datasets"].erase(alias);
  DropEmpty(&changed->tree);
  RETURN_IF_ERROR(changed->Save(true));
  impl_ = std::move(changed);
  return {};
}

bool IsVariableName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

}  // namespace sluice::workspace

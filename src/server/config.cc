#include "server/config.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "base/names.h"
#include "base/whole_file.h"
#include "fetch/template.h"
#include "odf/yaml_json.h"
#include "server/config_keys_internal.h"

namespace sluice::server {
namespace {

using nlohmann::json;

constexpr char kDefaultListen[] = "127.0.0.1:8080";

class TemplateVariables final : public fetch::Variables {
 public:
  explicit TemplateVariables(const ConfigReader::Environment& environment) : environment_(environment) {}
  Result<std::optional<Value>> Find(const std::string& name) const override {
    auto text = environment_(name);
    if (!text) return std::optional<Value>();
    return std::optional(Value{std::move(*text), true});
  }

 private:
  const ConfigReader::Environment& environment_;
};

std::vector<std::string> Split(const std::string& path) {
  std::vector<std::string> words;
  for (size_t start = 0; start <= path.size();) {
    const size_t end = std::min(path.find('.', start), path.size());
    words.push_back(path.substr(start, end - start));
    start = end + 1;
  }
  return words;
}

struct Found {
  const ConfigKey* key = nullptr;
  bool is_section = false;
  std::vector<std::string> siblings;  // names that could stand in the last place
};

// `path` in words, as accounts may hold dots.
Found Find(const std::vector<std::string>& path) {
  Found found;
  for (const auto& key : ConfigKeyTable()) {
    const auto words = Split(key.info.path);
    size_t same = 0;
    while (same < words.size() && same < path.size() && (words[same] == path[same] || words[same] == "*"))
      ++same;
    if (same + 1 >= path.size() && path.size() <= words.size() && words[path.size() - 1] != "*")
      found.siblings.push_back(words[path.size() - 1]);
    if (same < path.size()) continue;
    if (words.size() == path.size()) found.key = &key;
    if (words.size() > path.size()) found.is_section = true;
  }
  return found;
}

std::string Excerpt(const json& value) {
  constexpr size_t kShown = 100;
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > kShown) text = text.substr(0, kShown) + "...";
  return text;
}

}  // namespace

bool NodeConfig::is_loopback_only() const { return std::all_of(listen.begin(), listen.end(), IsLoopback); }

struct ConfigReader::Impl {
  Environment environment;
  std::string origin;
  std::map<std::string, int> lines;          // of the file's values
  std::map<std::string, std::string> where;  // a key was set, in words of a message
  std::set<std::string> given;               // options of the command line
  ConfigDraft draft;

  std::string At(const std::vector<std::string>& path) const {
    const auto line = lines.find("/" + JoinNames(path, "/"));
    return line == lines.end() ? origin : fmt::format("{}:{}", origin, line->second);
  }

  // Texts of `value` with what their templates stand for.
  Status Expand(json* value, bool* has_templates) const {
    if (value->is_string()) {
      const auto text = value->get<std::string>();
      if (text.find("${{") == std::string::npos) return {};
      fetch::Redactor redactor;
      ASSIGN_OR_RETURN(*value, fetch::ExpandTemplate(text, TemplateVariables(environment), redactor));
      *has_templates = true;
      return {};
    }
    if (!value->is_structured()) return {};
    for (auto& item : *value) RETURN_IF_ERROR(Expand(&item, has_templates));
    return {};
  }

  Status Set(const ConfigKey& key, const std::vector<std::string>& path, const json& given_value) {
    const auto shown = JoinNames(path, ".");
    ConfigValue value{given_value};
    const auto set = [&]() -> Status {
      RETURN_IF_ERROR(Expand(&value.json, &value.is_loose));
      const std::string account = key.info.path.find('*') != std::string::npos ? path[2] : "";
      return key.set(&draft, value, account);
    };
    if (auto status = set(); !status.ok()) {
      return InvalidArgument("{}: key '{}' is {}: {}", At(path), shown, Excerpt(given_value),
                             status.error().message());
    }
    where[shown] = At(path);
    return {};
  }

  Status Apply(const json& object, const std::vector<std::string>& path) {
    for (const auto& [name, value] : object.items()) {
      auto at = path;
      at.push_back(name);
      const auto found = Find(at);
      if (found.key) {
        RETURN_IF_ERROR(Set(*found.key, at, value));
        continue;
      }
      if (!found.is_section) {
        const auto near = NearNames(name, found.siblings, 1);
        return InvalidArgument("{}: unknown key '{}'{}; 'sluice serve --help' lists the keys", At(at),
                               JoinNames(at, "."),
                               near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near.front()));
      }
      if (value.is_null()) continue;  // a section with nothing in it
      if (!value.is_object()) {
        return InvalidArgument("{}: key '{}' is {}: more keys are expected", At(at), JoinNames(at, "."),
                               Excerpt(value));
      }
      RETURN_IF_ERROR(Apply(value, at));
    }
    return {};
  }

  // Where `key` was set, to stand before a message about it.
  std::string Of(const std::string& key) const {
    const auto it = where.find(key);
    return it == where.end() ? key : fmt::format("{}: {}", it->second, key);
  }

  Status JudgeTogether() {
    auto& config = draft.config;
    const auto& journal = config.gateway.journal;
    if (draft.tls.certificate.empty() != draft.tls.key.empty()) {
      const bool has_key = !draft.tls.key.empty();
      return InvalidArgument("{} is given without {}: they go together",
                             Of(has_key ? "tls.key" : "tls.certificate"),
                             has_key ? "tls.certificate" : "tls.key");
    }
    if (config.jwt) {
      const std::pair<const char*, bool> parts[] = {{"jwt.jwks", config.jwt->jwks.empty()},
                                                    {"jwt.issuer", config.jwt->rules.issuer.empty()},
                                                    {"jwt.audience", config.jwt->rules.audience.empty()}};
      for (const auto& [name, is_missing] : parts) {
        if (is_missing) return InvalidArgument("missing key '{}': jwt needs jwks, issuer and audience", name);
      }
    }
    if (journal.receipt_window < journal.key_window) {
      return InvalidArgument(
          "{} is shorter than keys.window: a repeat would be recognised whose receipt is gone",
          Of("receipts.window"));
    }
    if (journal.receipt_window < config.gateway.max_queue_age) {
      return InvalidArgument("{} is longer than receipts.window: a batch could outwait its own receipt",
                             Of("queue.age"));
    }
    if (config.gateway.max_waiting_bytes < config.gateway.group_bytes) {
      return InvalidArgument("{} is less than the {} bytes that one batch may have: it could never be taken",
                             Of("limits.waiting"), config.gateway.group_bytes);
    }
    if (journal.max_queue_bytes < 2 * config.gateway.group_bytes) {
      return InvalidArgument("{} is less than two batches of {} bytes: the queue could take none",
                             Of("queue.bytes"), config.gateway.group_bytes);
    }
    return {};
  }

  Status JudgeListeners() {
    auto& config = draft.config;
    for (auto& endpoint : config.listen) {
      if (!draft.tls.key.empty() && endpoint.unix_path.empty()) endpoint.tls = draft.tls;
      if (IsLoopback(endpoint) || endpoint.tls) continue;
      if (!config.insecure_http) {
        return InvalidArgument(
            "{}: '{}' can be reached by others, who would see tokens and records: give --tls-certificate and "
            "--tls-key, or --insecure-http when the network is yours",
            Of("listen"), endpoint.host);
      }
      config.weakened.push_back(fmt::format(
          "tokens and records pass over plain HTTP on '{}' (insecureHttp): who sees them can use them",
          endpoint.host));
    }
    return {};
  }

  // What weakens a guarantee has to be meant.
  Status JudgeWeakenings() {
    auto& config = draft.config;
    const auto& journal = config.gateway.journal;
    for (const auto& weakening : Weakenings()) {
      const bool is_short = weakening.name == "shortKeyWindow";
      const bool applies =
          is_short ? journal.key_window < kShortKeyWindow : journal.keys_per_source < kFewKeys;
      if (!applies) continue;
      if (!draft.accepted.contains(weakening.name)) {
        return InvalidArgument(
            "{} weakens a guarantee: {}; 'accept: [{}]' or --accept {} says that it is meant",
            Of(is_short ? "keys.window" : "keys.perSource"), weakening.meaning, weakening.name,
            weakening.name);
      }
      config.weakened.push_back(weakening.meaning);
    }
    if (config.gateway.journal.accept_new_log)
      config.weakened.emplace_back(
          "batches that were acknowledged into a lost log are given up (--accept-new-log)");
    for (const auto& rule : config.compaction)
      config.weakened.push_back(fmt::format(
          "compaction replaces the history of '{}': an anchor taken before does not fit the new one",
          rule.datasets));
    return {};
  }
};

ConfigReader::ConfigReader(Environment environment) : impl_(std::make_unique<Impl>()) {
  impl_->environment = std::move(environment);
}
ConfigReader::~ConfigReader() = default;

Status ConfigReader::Read(std::string_view yaml, const std::string& origin) {
  impl_->origin = origin;
  ASSIGN_OR_RETURN(const auto text, odf::YamlToJson(yaml, origin, &impl_->lines));
  const auto parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_null()) return {};
  if (!parsed.is_object()) return InvalidArgument("{}:1: keys with values are expected", origin);
  return impl_->Apply(parsed, {});
}

Status ConfigReader::ReadFile(const std::string& path) {
  auto text = ReadWholeFile(path);
  if (!text.ok()) return std::move(text).error().With("configuration");
  return Read(*text, path);
}

Status ConfigReader::SetOption(const std::string& option, const std::string& value) {
  for (const auto& key : ConfigKeyTable()) {
    if (key.info.option != option) continue;
    if (impl_->given.insert(option).second && key.info.path == "listen") impl_->draft.config.listen.clear();
    if (auto status = key.set(&impl_->draft, {value, true}, ""); !status.ok())
      return InvalidArgument("{} '{}': {}", option, value, status.error().message());
    impl_->where[key.info.path] = option;
    return {};
  }
  return Internal("no such option: {}", option);
}

Status ConfigReader::SetFallback(const std::string& path, const std::string& value,
                                 const std::string& origin) {
  if (impl_->where.contains(path)) return {};
  const auto found = Find(Split(path));
  if (!found.key) return Internal("no such key: {}", path);
  if (auto status = found.key->set(&impl_->draft, {value, true}, ""); !status.ok())
    return InvalidArgument("{}: {}", origin, status.error().message());
  impl_->where[path] = origin;
  return {};
}

Result<NodeConfig> ConfigReader::Finish() {
  auto& draft = impl_->draft;
  if (draft.config.listen.empty()) {
    ASSIGN_OR_RETURN(auto endpoint, ParseListen(kDefaultListen));
    draft.config.listen.push_back(std::move(endpoint));
  }
  for (auto& rule : draft.config.compaction) {
    if (rule.max_slice_records == 0) rule.max_slice_records = draft.slice_records;
    if (rule.max_slice_bytes == 0) rule.max_slice_bytes = draft.slice_bytes;
  }
  RETURN_IF_ERROR(impl_->JudgeTogether());
  RETURN_IF_ERROR(impl_->JudgeListeners());
  RETURN_IF_ERROR(impl_->JudgeWeakenings());
  return draft.config;
}

std::optional<std::string> ProcessEnvironment(const std::string& name) {
  const char* text = std::getenv(name.c_str());
  return text == nullptr ? std::nullopt : std::optional<std::string>(text);
}

std::vector<ConfigKeyInfo> NodeConfigKeys() {
  std::vector<ConfigKeyInfo> keys;
  for (const auto& key : ConfigKeyTable()) keys.push_back(key.info);
  return keys;
}

std::string DescribeNodeConfig() {
  std::string text = "| key | option | value | default | meaning |\n|---|---|---|---|---|\n";
  for (const auto& key : NodeConfigKeys()) {
    text +=
        fmt::format("| `{}` | {} | {} | {} | {} |\n", key.path,
                    key.option.empty() ? "" : "`" + key.option + "`", key.kind, key.fallback, key.meaning);
  }
  return text;
}

}  // namespace sluice::server

#include "workspace/secrets.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "multiformats/sealed.h"
#include "workspace/config.h"
#include "workspace/file_write.h"

namespace sluice::workspace {
namespace {

using Json = nlohmann::json;

std::string ToHex(std::string_view bytes) {
  std::string text;
  for (unsigned char c : bytes) text += fmt::format("{:02x}", c);
  return text;
}

std::optional<std::string> FromHex(std::string_view text) {
  auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  std::string bytes;
  if (text.size() % 2 != 0) return std::nullopt;
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]), low = digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes += static_cast<char>(high << 4 | low);
  }
  return bytes;
}

std::string Context(const std::string& alias, const std::string& name) { return alias + "\n" + name; }

Error Denied(const std::string& why) { return Error(ErrorCode::kPermissionDenied, why); }

// A key beside the data protects nothing.
bool IsInside(const std::string& path, const std::string& folder) {
  std::error_code error;
  const auto file = std::filesystem::weakly_canonical(path, error).string();
  const auto root = std::filesystem::weakly_canonical(folder, error).string();
  return file.starts_with(root + "/");
}

}  // namespace

SecretsKeySource SecretsKeySource::FromEnvironment() {
  auto get = [](const char* name) {
    const char* text = std::getenv(name);
    return std::string(text != nullptr ? text : "");
  };
  SecretsKeySource source{get("SLUICE_SECRETS_KEY"), get("SLUICE_SECRETS_KEY_FILE")};
  if (source.key_file.empty()) {
    std::string folder = get("XDG_CONFIG_HOME");
    if (folder.empty() && !get("HOME").empty()) folder = get("HOME") + "/.config";
    if (!folder.empty()) source.key_file = folder + "/sluice/secrets.key";
  }
  return source;
}

Result<Secrets> Secrets::Load(const std::string& workspace_root, SecretsKeySource key) {
  Secrets secrets;
  secrets.root_ = workspace_root;
  secrets.source_ = std::move(key);
  const std::string path = workspace_root + "/secrets.json";
  std::ifstream file(path, std::ios::binary);
  if (!file) return secrets;
  const Json json = Json::parse(file, nullptr, false);
  if (!json.is_object() || json.value("version", 0) != 1 || !json.contains("secrets") ||
      !json["secrets"].is_array())
    return Corruption("'{}' is not a file of secrets", path);
  for (const auto& one : json["secrets"]) {
    if (!one.is_object()) return Corruption("'{}' is not a file of secrets", path);
    secrets.sealed_[{one.value("dataset", ""), one.value("name", "")}] = one.value("sealed", "");
  }
  return secrets;
}

Result<std::string> Secrets::Key(bool make) const {
  std::string text = source_.key_text;
  if (text.empty()) {
    const auto& path = source_.key_file;
    if (path.empty())
      return Denied("there is no key for secrets: set SLUICE_SECRETS_KEY or SLUICE_SECRETS_KEY_FILE");
    if (IsInside(path, root_) || IsInside(path, root_.substr(0, root_.rfind('/'))))
      return Denied(fmt::format("the key '{}' lies in the workspace: keep it elsewhere", path));
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) {
      if (errno != ENOENT) return FromErrno(errno, "cannot look at '" + path + "'");
      if (!make) return Denied(fmt::format("the key for secrets is missing: '{}'", path));
      std::error_code error;
      std::filesystem::create_directories(path.substr(0, path.rfind('/')), error);
      RETURN_IF_ERROR(WriteFileDurably(path, ToHex(RandomBytes(multiformats::kSealKeyBytes)) + "\n", 0600));
    } else if ((info.st_mode & 077) != 0) {
      return Denied(fmt::format("others may read the key '{}': chmod 600", path));
    }
    std::ifstream file(path, std::ios::binary);
    if (!file) return Denied(fmt::format("the key '{}' cannot be read", path));
    text.assign(std::istreambuf_iterator<char>(file), {});
  }
  while (text.ends_with('\n') || text.ends_with('\r') || text.ends_with(' ')) text.pop_back();
  const auto key = FromHex(text);
  if (!key || key->size() != multiformats::kSealKeyBytes)
    return Denied(
        fmt::format("the key for secrets is not {} hexadecimal digits", 2 * multiformats::kSealKeyBytes));
  return *key;
}

Result<std::optional<std::string>> Secrets::Find(const std::string& alias, const std::string& name) const {
  const auto it = sealed_.find({alias, name});
  if (it == sealed_.end()) return std::optional<std::string>();
  ASSIGN_OR_RETURN(const auto key, Key(false));
  const auto sealed = FromHex(it->second);
  if (!sealed) return Corruption("secret '{}' is damaged", name);
  auto value = multiformats::Unseal(key, *sealed, Context(alias, name));
  if (!value.ok()) return std::move(value).error().With(fmt::format("secret '{}'", name));
  return std::optional(std::move(*value));
}

Status Secrets::CheckKey() const {
  if (sealed_.empty()) return {};
  auto key = Key(false);
  return key.ok() ? OkStatus() : Status(key.error());
}

Status Secrets::Set(const std::string& alias, const std::string& name, const std::string& value) {
  if (!IsVariableName(name)) return InvalidArgument("'{}' is not a name: letters, digits, _ and -", name);
  // One key for all of them: a second one would make the others unreadable, or be lost beside the first.
  ASSIGN_OR_RETURN(const auto key, Key(sealed_.empty()));
  if (!sealed_.empty()) {
    const auto& [first, unused] = *sealed_.begin();
    ASSIGN_OR_RETURN(const auto readable, Find(first.first, first.second));
    (void)readable;
  }
  ASSIGN_OR_RETURN(const auto sealed, multiformats::Seal(key, value, Context(alias, name)));
  sealed_[{alias, name}] = ToHex(sealed);
  return Save();
}

Result<bool> Secrets::Remove(const std::string& alias, const std::string& name) {
  if (sealed_.erase({alias, name}) == 0) return false;
  RETURN_IF_ERROR(Save());
  return true;
}

Status Secrets::Copy(const std::string& alias, const std::string& to) {
  bool any = false;
  for (const auto& [from, name] : Names()) {
    if (from != alias) continue;
    ASSIGN_OR_RETURN(const auto value, Find(alias, name));
    ASSIGN_OR_RETURN(const auto key, Key(false));
    ASSIGN_OR_RETURN(const auto sealed, multiformats::Seal(key, *value, Context(to, name)));
    sealed_[{to, name}] = ToHex(sealed);
    any = true;
  }
  return any ? Save() : OkStatus();
}

Status Secrets::RemoveAll(const std::string& alias) {
  const auto removed =
      std::erase_if(sealed_, [&](const auto& secret) { return secret.first.first == alias; });
  return removed > 0 ? Save() : OkStatus();
}

std::vector<Secrets::Name> Secrets::Names() const {
  std::vector<Name> names;
  for (const auto& [name, sealed] : sealed_) names.push_back({name.first, name.second});
  return names;
}

Status Secrets::Save() const {
  Json list = Json::array();
  for (const auto& [name, sealed] : sealed_)
    list.push_back({{"dataset", name.first}, {"name", name.second}, {"sealed", sealed}});
  const Json json = {{"version", 1}, {"secrets", std::move(list)}};
  return WriteFileDurably(root_ + "/secrets.json", json.dump(1) + "\n", 0600);
}

}  // namespace sluice::workspace

#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace sluice::workspace {

// Where the key of the secrets comes from: `SLUICE_SECRETS_KEY` (64 hexadecimal digits), else the file that
// `SLUICE_SECRETS_KEY_FILE` names, else `sluice/secrets.key` in the user's configuration folder.
struct SecretsKeySource {
  std::string key_text;
  std::string key_file;

  static SecretsKeySource FromEnvironment();
};

// Secrets of a workspace and of its datasets: `.sluice/secrets.json`, each encrypted with a key that lies
// outside the workspace. Values leave this object by Find alone and are never printed. Thread-compatible.
class Secrets {
 public:
  // Reads no key yet. Errors: kCorruption.
  static Result<Secrets> Load(const std::string& workspace_root, SecretsKeySource key);

  // An empty alias = of the workspace. Nothing when there is none. Errors: kPermissionDenied for a missing or
  // other key, a key file inside the workspace, or one that others may read.
  Result<std::optional<std::string>> Find(const std::string& alias, const std::string& name) const;
  // Whether the key can be used, when there are secrets. Errors: as Find.
  Status CheckKey() const;
  // Makes the key file when there is no key and no secret yet. Errors: as Find, also when the key is not that
  // of the others; kInvalidArgument for names.
  Status Set(const std::string& alias, const std::string& name, const std::string& value);
  // False when there was none.
  Result<bool> Remove(const std::string& alias, const std::string& name);
  // Gives another dataset the secrets of one; takes all of them from one. Errors: of Copy, as Find.
  Status Copy(const std::string& alias, const std::string& to);
  Status RemoveAll(const std::string& alias);
  struct Name {
    std::string alias, name;
  };
  std::vector<Name> Names() const;

 private:
  Result<std::string> Key(bool make) const;
  Status Save() const;

  std::string root_;
  SecretsKeySource source_;
  std::map<std::pair<std::string, std::string>, std::string> sealed_;  // hexadecimal
};

}  // namespace sluice::workspace

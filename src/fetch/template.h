#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace sluice::fetch {

// Where `env.NAME` of a template comes from: variables and secrets of the dataset and the workspace, the
// process environment. Thread-safe when shared by several fetches.
class Variables {
 public:
  struct Value {
    std::string text;
    bool is_secret = true;  // must never be printed
  };
  virtual ~Variables() = default;
  // Nothing when there is none. Errors: kPermissionDenied when it may not be read.
  virtual Result<std::optional<Value>> Find(const std::string& name) const = 0;
};

// Takes values out of texts that people see. Thread-compatible.
class Redactor {
 public:
  // `shown` stands for `secret` from now on, in the spellings of URLs, JSON and HTML too, and for its
  // beginning where a quote is cut (`...`).
  void Hide(const std::string& secret, const std::string& shown);
  std::string Clean(std::string_view text) const;
  Error Clean(const Error& error) const;

 private:
  void HideBeginnings(std::string* text) const;

  std::vector<std::pair<std::string, std::string>> hidden_;
};

// `${{ env.A || env.B || 'text' || 10.5 }}` replaced by the first alternative that has a value (odf-ingest.md
// 5.4). What a variable holds is not looked into again. Secrets used are told to `redactor`. Errors:
// kInvalidArgument `Missing values for variable(s): '...'`, `Invalid pattern '...' encountered`, a template
// that does not end.
Result<std::string> ExpandTemplate(std::string_view text, const Variables& variables, Redactor& redactor);

// The syntax alone: asked when a source is added.
Status CheckTemplate(std::string_view text);

}  // namespace sluice::fetch

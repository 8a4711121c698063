#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "connectors/redact/patterns.h"

namespace sluice::connectors::redact {

struct RedactorOptions {
  std::vector<Kind> kinds;
  std::map<std::string, std::string> custom;  // name -> RE2 expression
  std::string replacement = "[{kind}]";       // `{kind}` = email, phone, card, ip, iban, or the custom name
  // Where given, what was found becomes `[kind:12 hex digits]` instead: equal values look equal, and who does
  // not know the salt cannot find out which by trying.
  std::string salt;
};

// Errors: kInvalidArgument listing the names.
Result<Kind> KindOf(std::string_view name);

// Replaces what it finds. Confined: keeps buffers.
class Redactor {
 public:
  // Errors: kInvalidArgument for an expression that is none, or matches the empty text.
  static Result<std::unique_ptr<Redactor>> Make(const RedactorOptions& options);
  virtual ~Redactor() = default;
  // False when there is nothing to replace; `out` is then left alone.
  virtual bool Redact(std::string_view text, std::string* out) = 0;
  // The same inside of the strings and numbers of a JSON text, keys apart. A number becomes a string. What is
  // left alone stays byte for byte as it was.
  virtual bool RedactJson(std::string_view json, std::string* out) = 0;
};

}  // namespace sluice::connectors::redact

#include <cstdlib>
#include <string>
#include <string_view>

#include "fetch/template.h"

namespace {

// Names with an `A` have a value, of which some look like templates.
class SomeVariables final : public sluice::fetch::Variables {
 public:
  sluice::Result<std::optional<Value>> Find(const std::string& name) const override {
    if (name.find('A') == std::string::npos) return std::optional<Value>();
    return std::optional(Value{"${{ env." + name + " || 'secret' }}", name.size() % 2 == 0});
  }
};

}  // namespace

// What the check of a manifest accepts can be expanded, unless a value is missing; what it refuses cannot; no
// secret is left in what people see.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const bool is_template = sluice::fetch::CheckTemplate(text).ok();
  const SomeVariables variables;
  sluice::fetch::Redactor redactor;
  const auto expanded = sluice::fetch::ExpandTemplate(text, variables, redactor);
  if (expanded.ok() && !is_template) std::abort();
  if (!expanded.ok()) {
    if (expanded.error().code() != sluice::ErrorCode::kInvalidArgument) std::abort();
    if (is_template && expanded.error().message().find("Missing values") == std::string::npos) std::abort();
    return 0;
  }
  if (text.find("${{") == std::string_view::npos && *expanded != text) std::abort();
  (void)redactor.Clean(*expanded);
  return 0;
}

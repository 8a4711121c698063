#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::connectors::language {

// The language of a text, by CLD2 (83 languages; offline, tables in the library). Thread-safe.
struct Detected {
  std::string_view code;  // ISO 639-1 or -2, `zh-Hant`; empty = not known. Static text.
  bool is_reliable = false;
};
// Looks at the first `max_bytes` at most. `text` that is not UTF-8 has no language. With `guesses` short and
// mixed texts get the language that is nearest.
Detected Detect(std::string_view text, size_t max_bytes, bool guesses);
// Whether it is a code that Detect may give.
bool IsKnown(std::string_view code);

}  // namespace sluice::connectors::language

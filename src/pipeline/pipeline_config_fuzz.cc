#include <cstdlib>
#include <string>

#include "pipeline/config.h"
#include "pipeline/environment.h"

namespace {

using namespace sluice::pipeline;  // NOLINT: a program of one function

const Registry& Everything() {
  static const Registry registry = [] {
    Registry made;
    Declaration declaration;
    declaration.options = {{.name = "text", .may_name_fields = true},
                           {.name = "count", .type = OptionType::kInteger, .default_text = "1"},
                           {.name = "pause", .type = OptionType::kDuration},
                           {.name = "size", .type = OptionType::kBytes},
                           {.name = "names", .type = OptionType::kTexts},
                           {.name = "tree", .type = OptionType::kTree},
                           {.name = "writers", .type = OptionType::kWriters}};
    for (const auto kind : {ConnectorKind::kIngestor, ConnectorKind::kProcessor, ConnectorKind::kWriter}) {
      declaration.kind = kind;
      declaration.type = "any";
      made.AddUnavailable(declaration, "not made here");
    }
    return made;
  }();
  return registry;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = ReadConfig(text, "fuzz.yaml", Everything(), [](std::string_view whole) {
    return sluice::Result<std::string>(std::string(whole));
  });
  if (!config.ok() && config.error().code() == sluice::ErrorCode::kInternal) std::abort();
  return 0;
}

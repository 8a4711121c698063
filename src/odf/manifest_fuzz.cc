// Any text as a manifest: an error or values, and values that come back from what is written.

#include <cstdio>
#include <cstdlib>

#include "odf/codec.h"
#include "odf/yaml.h"

namespace {

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

// Times outside of four-digit years can be neither written nor read as RFC 3339; offsets make a few of them.
bool HasPrintableTimes(const std::string& text) { return text.find(" -") == std::string::npos; }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sluice::odf;
  const auto manifests = ParseManifests({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (!manifests.ok()) return 0;
  for (const auto& manifest : *manifests) {
    if (const auto* snapshot = std::get_if<DatasetSnapshot>(&manifest)) {
      Require(ParseManifests(ToYaml(*snapshot), "again").ok(), "a written snapshot can be read");
    } else if (const auto* event = std::get_if<MetadataEvent>(&manifest)) {
      const std::string text = ToYaml(*event);
      const auto again = ParseManifests(text, "again");
      if (!HasPrintableTimes(text)) continue;
      Require(again.ok() && std::get<MetadataEvent>(again->at(0)) == *event,
              "a written event reads as itself");
      const auto block = DecodeBlock(*EncodeBlock({{}, std::nullopt, 0, *event}));
      Require(block.ok() && block->event == *event, "an event that was read can be stored");
    }
  }
  return 0;
}

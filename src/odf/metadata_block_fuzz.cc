// Bytes of a block from anywhere: decoding must end in a block or an error, and a block must keep its
// meaning.

#include <cstdio>
#include <cstdlib>

#include "odf/arrow_schema.h"
#include "odf/codec.h"
#include "odf/yaml.h"

namespace {

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sluice::odf;
  const auto block = DecodeBlock({reinterpret_cast<const char*>(data), size});
  if (!block.ok()) return 0;
  const auto again = DecodeBlock(*EncodeBlock(*block));
  Require(again.ok() && *again == *block, "a decoded block encodes to itself in version 3");
  const auto older = DecodeBlock(EncodeBlockV2(*block));
  Require(older.ok() && *older == *block, "a decoded block encodes to itself in version 2");
  ToYaml(*block);
  if (const auto* event = std::get_if<SetDataSchema>(&block->event)) {
    if (event->raw_arrow_schema) static_cast<void>(FromRawArrow(*event->raw_arrow_schema).ok());
    if (event->schema) static_cast<void>(ToArrow(*event->schema).ok());
  }
  return 0;
}

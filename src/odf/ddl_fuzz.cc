// Any text as a DDL item: an error or a schema, and a schema that comes back from what is written.

#include <cstdio>
#include <cstdlib>

#include "odf/yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sluice::odf;
  const auto schema = ParseDdlSchema({std::string(reinterpret_cast<const char*>(data), size)});
  if (!schema.ok() || schema->fields.empty()) return 0;
  const auto again = ParseDdlSchema({ToDdl(*schema)});
  if (again.ok() && *again == *schema) return 0;
  std::fprintf(stderr, "broken: a written schema reads as itself\n");
  std::abort();
}

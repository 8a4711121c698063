#include <dlfcn.h>

// Not duckdb_api.h, in which the names are macros.
#include <duckdb.h>

#include "base/result.h"

namespace sluice::sql {

namespace duckdb_api {
#define SLUICE_DUCKDB_FUNCTION(name)    \
  extern decltype(&::name) slot_##name; \
  decltype(&::name) slot_##name = nullptr;
#include "sql/duckdb_functions.inc"
#undef SLUICE_DUCKDB_FUNCTION
}  // namespace duckdb_api

namespace {

Status Load() {
  // Where the program's run path says, else where the system looks; kept until the program ends.
  void* library = ::dlopen(SLUICE_DUCKDB_LIBRARY, RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr)
    return Error(ErrorCode::kUnavailable, fmt::format("the SQL engine cannot be loaded: {}", ::dlerror()));
  const char* missing = nullptr;
  auto find = [&](const char* name) {
    void* found = ::dlsym(library, name);
    if (found == nullptr) missing = name;
    return found;
  };
#define SLUICE_DUCKDB_FUNCTION(name) \
  duckdb_api::slot_##name = reinterpret_cast<decltype(&::name)>(find(#name));
#include "sql/duckdb_functions.inc"
#undef SLUICE_DUCKDB_FUNCTION
  if (missing == nullptr) return {};
  return Error(ErrorCode::kUnavailable, fmt::format("the SQL engine ({}) is another version: it has no '{}'",
                                                    SLUICE_DUCKDB_LIBRARY, missing));
}

}  // namespace

Status LoadDuckDb() {
  static const Status kLoaded = Load();
  return kLoaded;
}

}  // namespace sluice::sql

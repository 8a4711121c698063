# Finds the libraries. An installed Arrow or DuckDB is taken when there is one; otherwise the trees that tools/setup
# unpacked under SLUICE_DEPS. Where packages come from is not known here.
find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(fmt 9 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(tl-expected REQUIRED)
find_package(simdjson REQUIRED)
# libparquet has a simdjson of another version under the same names. Ours must be found first, wherever the libraries
# that need it stand in a link line, or JSON is read by the wrong one, which crashes.
add_link_options("$<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:$<TARGET_FILE:simdjson::simdjson>>")
find_package(CLI11 REQUIRED)
find_package(RocksDB REQUIRED)
find_package(CURL REQUIRED)
find_package(LibArchive REQUIRED)
find_package(PROJ REQUIRED CONFIG)
find_package(ZLIB REQUIRED)
find_library(SLUICE_ZSTD_LIB zstd REQUIRED)

if(NOT SLUICE_DEPS)
  if(DEFINED ENV{SLUICE_DEPS})
    set(SLUICE_DEPS "$ENV{SLUICE_DEPS}")
  elseif(DEFINED ENV{XDG_CACHE_HOME})
    set(SLUICE_DEPS "$ENV{XDG_CACHE_HOME}/sluice/deps")
  else()
    set(SLUICE_DEPS "$ENV{HOME}/.cache/sluice/deps")
  endif()
endif()

find_package(Arrow CONFIG QUIET)
find_package(Parquet CONFIG QUIET)
if(Arrow_FOUND AND Parquet_FOUND AND TARGET ArrowCompute::arrow_compute_shared)
  add_library(sluice_arrow INTERFACE)
  target_link_libraries(sluice_arrow INTERFACE Parquet::parquet_shared Arrow::arrow_shared
                                               ArrowCompute::arrow_compute_shared)
else()
  find_path(SLUICE_ARROW_INCLUDE arrow/api.h HINTS "${SLUICE_DEPS}/arrow-26.0.1/include" REQUIRED)
  find_library(SLUICE_ARROW_LIB NAMES arrow HINTS "${SLUICE_DEPS}/arrow-26.0.1/lib" REQUIRED)
  find_library(SLUICE_ARROW_COMPUTE_LIB NAMES arrow_compute HINTS "${SLUICE_DEPS}/arrow-26.0.1/lib" REQUIRED)
  find_library(SLUICE_PARQUET_LIB NAMES parquet HINTS "${SLUICE_DEPS}/arrow-26.0.1/lib" REQUIRED)
  add_library(sluice_arrow INTERFACE)
  target_include_directories(sluice_arrow SYSTEM INTERFACE "${SLUICE_ARROW_INCLUDE}")
  target_link_libraries(sluice_arrow INTERFACE "${SLUICE_PARQUET_LIB}" "${SLUICE_ARROW_COMPUTE_LIB}"
                                               "${SLUICE_ARROW_LIB}")
endif()

find_path(SLUICE_DUCKDB_INCLUDE duckdb.h HINTS "${SLUICE_DEPS}/duckdb-1.4.4/include" REQUIRED)
find_library(SLUICE_DUCKDB_LIB NAMES duckdb HINTS "${SLUICE_DEPS}/duckdb-1.4.4" REQUIRED)
add_library(sluice_duckdb INTERFACE)
target_include_directories(sluice_duckdb SYSTEM INTERFACE "${SLUICE_DUCKDB_INCLUDE}")
target_link_libraries(sluice_duckdb INTERFACE "${SLUICE_DUCKDB_LIB}")

find_path(SLUICE_BOOST_INCLUDE boost/beast.hpp REQUIRED)

if(SLUICE_BUILD_TESTS)
  find_package(GTest REQUIRED)
endif()
find_package(benchmark QUIET)

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
find_path(SLUICE_PQ_INCLUDE libpq-fe.h PATH_SUFFIXES postgresql REQUIRED)
find_library(SLUICE_PQ_LIB pq REQUIRED)
# Whole, hidden, and in front of all libraries: Arrow's compute library exports another version of RE2 under the same names,
# from which the linker would take what no object before it asked for.
find_library(SLUICE_RE2_ARCHIVE libre2.a REQUIRED)
add_library(sluice_re2 INTERFACE)
target_link_options(sluice_re2 INTERFACE
  "SHELL:-Wl,--whole-archive ${SLUICE_RE2_ARCHIVE} -Wl,--no-whole-archive -Wl,--exclude-libs,libre2.a")
find_library(SLUICE_CLD2_LIB cld2 REQUIRED)

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
  set(SLUICE_FIRST_LIBS $<TARGET_FILE:Arrow::arrow_shared> -lstdc++ $<TARGET_FILE:OpenSSL::Crypto>
                        $<TARGET_FILE:Parquet::parquet_shared> $<TARGET_FILE:ArrowCompute::arrow_compute_shared>)
else()
  find_path(SLUICE_ARROW_INCLUDE arrow/api.h HINTS "${SLUICE_DEPS}/arrow-26.0.1/include" REQUIRED)
  find_library(SLUICE_ARROW_LIB NAMES arrow HINTS "${SLUICE_DEPS}/arrow-26.0.1/lib" REQUIRED)
  find_library(SLUICE_ARROW_COMPUTE_LIB NAMES arrow_compute HINTS "${SLUICE_DEPS}/arrow-26.0.1/lib" REQUIRED)
  find_library(SLUICE_PARQUET_LIB NAMES parquet HINTS "${SLUICE_DEPS}/arrow-26.0.1/lib" REQUIRED)
  add_library(sluice_arrow INTERFACE)
  target_include_directories(sluice_arrow SYSTEM INTERFACE "${SLUICE_ARROW_INCLUDE}")
  target_link_libraries(sluice_arrow INTERFACE "${SLUICE_PARQUET_LIB}" "${SLUICE_ARROW_COMPUTE_LIB}"
                                               "${SLUICE_ARROW_LIB}")
  set(SLUICE_FIRST_LIBS "${SLUICE_ARROW_LIB}" -lstdc++ $<TARGET_FILE:OpenSSL::Crypto> "${SLUICE_PARQUET_LIB}"
                        "${SLUICE_ARROW_COMPUTE_LIB}")
endif()

find_path(SLUICE_DUCKDB_INCLUDE duckdb.h HINTS "${SLUICE_DEPS}/duckdb-1.4.4/include" REQUIRED)
find_library(SLUICE_DUCKDB_LIB NAMES duckdb HINTS "${SLUICE_DEPS}/duckdb-1.4.4" REQUIRED)
add_library(sluice_duckdb INTERFACE)
target_include_directories(sluice_duckdb SYSTEM INTERFACE "${SLUICE_DUCKDB_INCLUDE}")
target_link_libraries(sluice_duckdb INTERFACE "${SLUICE_DUCKDB_LIB}")
# The same, loaded when it is needed (src/sql/duckdb_api.h): it takes long to start.
get_filename_component(duckdb_name "${SLUICE_DUCKDB_LIB}" NAME)
get_filename_component(duckdb_folder "${SLUICE_DUCKDB_LIB}" DIRECTORY)
add_library(sluice_duckdb_lazy INTERFACE)
target_include_directories(sluice_duckdb_lazy SYSTEM INTERFACE "${SLUICE_DUCKDB_INCLUDE}")
target_compile_definitions(sluice_duckdb_lazy INTERFACE SLUICE_DUCKDB_LIBRARY="${duckdb_name}")
target_link_libraries(sluice_duckdb_lazy INTERFACE ${CMAKE_DL_LIBS})
list(APPEND CMAKE_BUILD_RPATH "${duckdb_folder}")

# libarchive, too (src/archive/libarchive.h): it brings eight others.
add_library(sluice_libarchive INTERFACE)
target_include_directories(sluice_libarchive SYSTEM INTERFACE "${LibArchive_INCLUDE_DIRS}")
execute_process(COMMAND readelf -d "${LibArchive_LIBRARIES}" OUTPUT_VARIABLE libarchive_dynamic ERROR_QUIET)
if(NOT libarchive_dynamic MATCHES "soname: \\[([^]]+)\\]")
  message(FATAL_ERROR "'${LibArchive_LIBRARIES}' is no shared library with a name")
endif()
target_compile_definitions(sluice_libarchive INTERFACE SLUICE_LIBARCHIVE_LIBRARY="${CMAKE_MATCH_1}")
target_link_libraries(sluice_libarchive INTERFACE ${CMAKE_DL_LIBS})

# PROJ, too: it brings twenty other libraries.
add_library(sluice_proj INTERFACE)
target_include_directories(sluice_proj SYSTEM INTERFACE $<TARGET_PROPERTY:PROJ::proj,INTERFACE_INCLUDE_DIRECTORIES>)
get_target_property(proj_configurations PROJ::proj IMPORTED_CONFIGURATIONS)
foreach(configuration ${proj_configurations})
  get_target_property(proj_name PROJ::proj IMPORTED_SONAME_${configuration})
endforeach()
if(NOT proj_name)
  message(FATAL_ERROR "PROJ's package does not tell the name of its shared library")
endif()
target_compile_definitions(sluice_proj INTERFACE SLUICE_PROJ_LIBRARY="${proj_name}")
target_link_libraries(sluice_proj INTERFACE ${CMAKE_DL_LIBS})

find_path(SLUICE_BOOST_INCLUDE boost/beast.hpp REQUIRED)

if(SLUICE_BUILD_TESTS)
  find_package(GTest REQUIRED)
endif()
find_package(benchmark QUIET)

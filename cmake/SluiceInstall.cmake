# An installed tree that can be moved: the program, the library with its headers and package file, and the two big
# libraries with their licences in lib/sluice, found through $ORIGIN.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(SLUICE_PRIVATE_LIBDIR lib/sluice)

# Copies a shared library under the name that programs ask for (its SONAME).
function(sluice_install_shared library)
  if(NOT EXISTS "${library}")
    return()
  endif()
  execute_process(COMMAND readelf -d "${library}" OUTPUT_VARIABLE dynamic ERROR_QUIET)
  if(dynamic MATCHES "soname: \\[([^]]+)\\]")
    set(name "${CMAKE_MATCH_1}")
  else()
    get_filename_component(name "${library}" NAME)
  endif()
  get_filename_component(real "${library}" REALPATH)
  install(FILES "${real}" DESTINATION ${SLUICE_PRIVATE_LIBDIR} RENAME "${name}")
  # A plain name for the linker of programs that embed the library.
  get_filename_component(plain "${library}" NAME)
  if(NOT plain STREQUAL name)
    install(CODE "file(CREATE_LINK \"${name}\" \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${SLUICE_PRIVATE_LIBDIR}/${plain}\" SYMBOLIC)")
  endif()
endfunction()

if(SLUICE_ARROW_LIB)
  foreach(library "${SLUICE_ARROW_LIB}" "${SLUICE_ARROW_COMPUTE_LIB}" "${SLUICE_PARQUET_LIB}")
    sluice_install_shared("${library}")
  endforeach()
  get_filename_component(arrow_root "${SLUICE_ARROW_INCLUDE}" DIRECTORY)
  install(FILES "${arrow_root}/LICENSE.txt" DESTINATION share/sluice/licenses RENAME arrow-LICENSE.txt)
  install(FILES "${arrow_root}/NOTICE.txt" DESTINATION share/sluice/licenses RENAME arrow-NOTICE.txt)
  install(DIRECTORY "${SLUICE_ARROW_INCLUDE}/" DESTINATION include/sluice/third_party)
endif()
sluice_install_shared("${SLUICE_DUCKDB_LIB}")
get_filename_component(duckdb_root "${SLUICE_DUCKDB_INCLUDE}" DIRECTORY)
if(EXISTS "${duckdb_root}/LICENSE")
  install(FILES "${duckdb_root}/LICENSE" DESTINATION share/sluice/licenses RENAME duckdb-LICENSE)
endif()
install(FILES LICENSE DESTINATION share/sluice/licenses)

# DuckDB's library has no SONAME: it is found by name through the rpath.
set_target_properties(sluice PROPERTIES
  INSTALL_RPATH "$ORIGIN/../${SLUICE_PRIVATE_LIBDIR}"
  BUILD_WITH_INSTALL_RPATH OFF)
install(TARGETS sluice RUNTIME DESTINATION bin)

# The library: one archive of all modules, so that a program links one thing.
get_property(modules GLOBAL PROPERTY SLUICE_MODULES)
set(objects "")
foreach(module ${modules})
  get_target_property(type ${module} TYPE)
  if(type STREQUAL "STATIC_LIBRARY" AND NOT module STREQUAL "sluice_cli")
    list(APPEND archives $<TARGET_FILE:${module}>)
    list(APPEND archive_targets ${module})
  endif()
endforeach()
set(bundle "${CMAKE_BINARY_DIR}/libsluice.a")
set(script "${CMAKE_BINARY_DIR}/bundle.mri")
string(JOIN "\nADDLIB " addlibs ${archives})
file(GENERATE OUTPUT "${script}" CONTENT "CREATE ${bundle}\nADDLIB ${addlibs}\nSAVE\nEND\n")
add_custom_command(OUTPUT "${bundle}"
  COMMAND ${CMAKE_COMMAND} -E rm -f "${bundle}"
  COMMAND ${CMAKE_AR} -M < "${script}"
  DEPENDS ${archive_targets} "${script}"
  VERBATIM)
add_custom_target(sluice_bundle ALL DEPENDS "${bundle}")
install(FILES "${bundle}" DESTINATION lib)
install(DIRECTORY src/ DESTINATION include/sluice
  FILES_MATCHING PATTERN "*.h"
  PATTERN "*_internal.h" EXCLUDE PATTERN "testing" EXCLUDE PATTERN "cli" EXCLUDE PATTERN "app" EXCLUDE)

configure_package_config_file(cmake/sluiceConfig.cmake.in "${CMAKE_BINARY_DIR}/sluiceConfig.cmake"
  INSTALL_DESTINATION lib/cmake/sluice)
write_basic_package_version_file("${CMAKE_BINARY_DIR}/sluiceConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/sluiceConfig.cmake" "${CMAKE_BINARY_DIR}/sluiceConfigVersion.cmake"
  DESTINATION lib/cmake/sluice)

# sluice_module(<name>
#   SOURCES file...            the module's own sources
#   DEPS module...             modules of ours on lower floors
#   LIBS target...             third-party libraries, only where this module owns them
#   TESTS file...              unit tests -> one program sluice_<name>_test
#   TESTING file... TESTING_DEPS ...   helpers other modules' tests may use -> sluice_<name>_testing
#   BENCHMARKS file...  FUZZERS file...)
# Makes the static library sluice_<name>. Files are included as "module/file.h".
function(sluice_module name)
  cmake_parse_arguments(M "" "" "SOURCES;DEPS;LIBS;PUBLIC_LIBS;TESTS;TEST_LIBS;TESTING;TESTING_DEPS;BENCHMARKS;FUZZERS" ${ARGN})
  list(TRANSFORM M_DEPS PREPEND sluice_)

  if(M_SOURCES)
    add_library(sluice_${name} STATIC ${M_SOURCES})
    set(scope PUBLIC)
    target_link_libraries(sluice_${name} PRIVATE ${M_LIBS})
  else()
    add_library(sluice_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(sluice_${name} ${scope} $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>)
  target_link_libraries(sluice_${name} ${scope} ${M_DEPS} ${M_PUBLIC_LIBS})
  set_property(GLOBAL APPEND PROPERTY SLUICE_MODULES sluice_${name})

  if(M_TESTING AND SLUICE_BUILD_TESTS)
    list(TRANSFORM M_TESTING_DEPS PREPEND sluice_)
    add_library(sluice_${name}_testing STATIC ${M_TESTING})
    target_link_libraries(sluice_${name}_testing PUBLIC sluice_${name} ${M_TESTING_DEPS} GTest::gtest GTest::gmock)
  endif()

  if(M_TESTS AND SLUICE_BUILD_TESTS)
    add_executable(sluice_${name}_test ${M_TESTS})
    target_link_libraries(sluice_${name}_test PRIVATE sluice_${name} ${M_LIBS} ${M_TEST_LIBS} GTest::gtest GTest::gmock
                                                      GTest::gtest_main)
    if(TARGET sluice_${name}_testing)
      target_link_libraries(sluice_${name}_test PRIVATE sluice_${name}_testing)
    endif()
    target_compile_definitions(sluice_${name}_test PRIVATE
      SLUICE_SOURCE_DIR="${PROJECT_SOURCE_DIR}" SLUICE_TESTDATA_DIR="${CMAKE_CURRENT_SOURCE_DIR}/testdata")
    # One ctest entry a program: discovery would start each of them once more at build time.
    add_test(NAME ${name} COMMAND sluice_${name}_test)
    set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 300)
  endif()

  if(M_BENCHMARKS AND SLUICE_BUILD_BENCHMARKS)
    add_executable(sluice_${name}_bench ${M_BENCHMARKS})
    target_link_libraries(sluice_${name}_bench PRIVATE sluice_${name} ${M_LIBS} benchmark::benchmark benchmark::benchmark_main)
  endif()

  if(M_FUZZERS AND SLUICE_BUILD_FUZZERS)
    foreach(file ${M_FUZZERS})
      get_filename_component(target ${file} NAME_WE)
      add_executable(${target} ${file})
      target_link_libraries(${target} PRIVATE sluice_${name} ${M_LIBS})
      target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    endforeach()
  endif()
endfunction()

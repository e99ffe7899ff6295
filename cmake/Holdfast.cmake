# Flags and helpers that all parts share.

add_library(holdfast_flags INTERFACE)
target_compile_options(holdfast_flags INTERFACE -Wall -Wextra -Werror -fno-strict-aliasing
  $<$<COMPILE_LANGUAGE:CXX>:-Wno-missing-field-initializers>)
# Asio picks aligned_alloc or operator new by what was included before it: without this, sources of one program disagree
# and free what the other kind allocated.
target_compile_definitions(holdfast_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:ASIO_DISABLE_STD_ALIGNED_ALLOC>)
target_include_directories(holdfast_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/daemon ${CMAKE_BINARY_DIR}/generated)
if(HOLDFAST_SANITIZE STREQUAL "address")
  target_compile_options(holdfast_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
    -Wno-maybe-uninitialized)  # gcc 12 sees ghosts in <regex> when it instruments
  target_link_options(holdfast_flags INTERFACE -fsanitize=address,undefined)
elseif(HOLDFAST_SANITIZE STREQUAL "fuzzer")
  # clang; every library counts its edges, and only the fuzzers (tests/fuzz) link libFuzzer's main. clang 14 has
  # coroutines, but does not set the macro that GCC's header asks for.
  target_compile_options(holdfast_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  target_compile_definitions(holdfast_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:__cpp_impl_coroutine=201902L>)
  target_link_options(holdfast_flags INTERFACE -fsanitize=address,undefined)
elseif(HOLDFAST_SANITIZE STREQUAL "thread")
  # Asio's fences are invisible to the sanitizer, which the compiler warns about; its mutexes order what matters.
  target_compile_options(holdfast_flags INTERFACE -fsanitize=thread -fno-omit-frame-pointer -Wno-tsan)
  target_link_options(holdfast_flags INTERFACE -fsanitize=thread)
endif()

# Upgrade tests run programs that speak the versions of the next release and of the one after it. They are the same
# objects, with this one source compiled anew: HOLDFAST_VERSION_OFFSET is the distance.
foreach(offset 1 2)
  add_library(holdfast_version_${offset} OBJECT ${CMAKE_SOURCE_DIR}/daemon/base/version.cc)
  target_link_libraries(holdfast_version_${offset} PRIVATE holdfast_flags)
  target_compile_definitions(holdfast_version_${offset} PRIVATE HOLDFAST_VERSION_OFFSET=${offset})
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/next-${offset})
  file(CREATE_LINK ${CMAKE_BINARY_DIR}/lib ${CMAKE_BINARY_DIR}/next-${offset}/lib SYMBOLIC)
endforeach()

# holdfast_library(NAME SOURCES a.cc b.cc LINK x y): a static library of one layer.
function(holdfast_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC holdfast_flags ${ARG_LINK})
endfunction()

# holdfast_program(NAME SOURCES a.cc LINK x y): a program, built into build/bin; and as the next releases, into
# build/next-1/bin and build/next-2/bin.
function(holdfast_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name}_objects OBJECT ${ARG_SOURCES})
  target_link_libraries(${name}_objects PUBLIC holdfast_flags ${ARG_LINK})
  add_executable(${name})
  target_link_libraries(${name} PRIVATE ${name}_objects)
  if(HOLDFAST_SANITIZE)
    return()
  endif()
  foreach(offset 1 2)
    # The linker takes the version from the object and leaves the library's alone.
    add_executable(${name}-next-${offset} $<TARGET_OBJECTS:holdfast_version_${offset}>)
    target_link_libraries(${name}-next-${offset} PRIVATE ${name}_objects)
    set_target_properties(${name}-next-${offset} PROPERTIES OUTPUT_NAME ${name}
      RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/next-${offset}/bin)
  endforeach()
endfunction()

# What the thread sanitizer is for: the tests of everything that has threads.
add_custom_target(tsan_tests)

# holdfast_test(NAME SOURCES a_test.cc LINK x y [TIMEOUT seconds] [THREADED]): one GoogleTest program = one ctest test,
# label "unit"; THREADED: also label "adapters".
function(holdfast_test name)
  cmake_parse_arguments(ARG "THREADED" "TIMEOUT" "SOURCES;LINK" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  if(HOLDFAST_SANITIZE)
    math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * 5")
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE holdfast_flags ${ARG_LINK} gtest gtest_main gmock Threads::Threads)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS unit)
  if(ARG_THREADED)
    add_dependencies(tsan_tests ${name})
    set_tests_properties(${name} PROPERTIES LABELS "unit;adapters")
  endif()
endfunction()

# Flags and helpers that all parts share.

add_library(holdfast_flags INTERFACE)
target_compile_options(holdfast_flags INTERFACE -Wall -Wextra -Werror -fno-strict-aliasing
  $<$<COMPILE_LANGUAGE:CXX>:-Wno-missing-field-initializers>)
# Asio picks aligned_alloc or operator new by what was included before it: without this, sources of one program disagree
# and free what the other kind allocated.
target_compile_definitions(holdfast_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:ASIO_DISABLE_STD_ALIGNED_ALLOC>)
target_include_directories(holdfast_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/daemon ${CMAKE_BINARY_DIR}/generated)
if(HOLDFAST_SANITIZE STREQUAL "address")
  target_compile_options(holdfast_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(holdfast_flags INTERFACE -fsanitize=address,undefined)
elseif(HOLDFAST_SANITIZE STREQUAL "thread")
  target_compile_options(holdfast_flags INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
  target_link_options(holdfast_flags INTERFACE -fsanitize=thread)
endif()
if(HOLDFAST_NEXT_NEXT_VERSION)
  target_compile_definitions(holdfast_flags INTERFACE HOLDFAST_VERSION_OFFSET=2)
elseif(HOLDFAST_NEXT_VERSION)
  target_compile_definitions(holdfast_flags INTERFACE HOLDFAST_VERSION_OFFSET=1)
endif()

# holdfast_library(NAME SOURCES a.cc b.cc LINK x y): a static library of one layer.
function(holdfast_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC holdfast_flags ${ARG_LINK})
endfunction()

# holdfast_program(NAME SOURCES a.cc LINK x y): a program, built into build/bin.
function(holdfast_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE holdfast_flags ${ARG_LINK})
endfunction()

# holdfast_test(NAME SOURCES a_test.cc LINK x y [TIMEOUT seconds]): one GoogleTest program = one ctest test, label "unit".
function(holdfast_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINK" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE holdfast_flags ${ARG_LINK} gtest gtest_main gmock Threads::Threads)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS unit)
endfunction()

# Finds LLVM and MLIR 22.1 and sets the flags that code linked to them needs.
#
# Only the shared libraries libMLIR.so and libLLVM.so are ever linked: static
# MLIR libraries beside the shared one load every dialect twice. Debian's
# MLIRConfig.cmake does not export MLIR_LINK_MLIR_DYLIB, hence the targets MLIR
# and LLVM are named directly.

find_package(MLIR QUIET CONFIG HINTS /usr/lib/llvm-22/lib/cmake/mlir)
if(NOT MLIR_FOUND)
  message(FATAL_ERROR
    "MLIR 22 was not found. On Debian 12 it is in the packages llvm-22-dev, "
    "libmlir-22-dev and mlir-22-tools: run tools/setup.sh, or set MLIR_DIR.")
endif()
if(NOT LLVM_VERSION_MAJOR EQUAL 22 OR NOT LLVM_VERSION_MINOR EQUAL 1)
  message(FATAL_ERROR
    "Ropewalk needs LLVM and MLIR 22.1 (packages llvm-22-dev, libmlir-22-dev), "
    "found ${LLVM_PACKAGE_VERSION} in ${LLVM_DIR}.")
endif()
foreach(target MLIR LLVM)
  if(NOT TARGET ${target})
    message(FATAL_ERROR
      "The shared library lib${target}.so was not found (packages libmlir-22, "
      "libllvm22): static MLIR libraries alone are not enough.")
  endif()
endforeach()

set(LLVM_RUNTIME_OUTPUT_INTDIR ${CMAKE_BINARY_DIR}/bin)
list(APPEND CMAKE_MODULE_PATH "${MLIR_CMAKE_DIR}" "${LLVM_CMAKE_DIR}")
include(TableGen)
include(AddLLVM)
include(AddMLIR)

separate_arguments(ROPEWALK_LLVM_DEFINITIONS NATIVE_COMMAND "${LLVM_DEFINITIONS}")
include_directories(${CMAKE_SOURCE_DIR}/include ${CMAKE_BINARY_DIR}/include)
# mlir_tablegen takes its search path from the directory's include path.
include_directories(SYSTEM ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})

add_compile_options(-Wall -Wextra -Wno-unused-parameter -fno-exceptions -ffunction-sections)
if(ROPEWALK_SANITIZE)
  # Needs the package libclang-rt-22-dev; tools/sanitize.sh sees to that.
  set(sanitizers ${ROPEWALK_SANITIZE})
  if(sanitizers MATCHES "^(ON|TRUE|YES|1)$")
    set(sanitizers address,undefined)
  endif()
  set(flags -fsanitize=${sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  if(sanitizers MATCHES "undefined")
    # Conversions of numbers that do not fit are no part of 'undefined'.
    list(APPEND flags -fsanitize=float-cast-overflow)
  endif()
  add_compile_options(${flags} -gline-tables-only)
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
  add_link_options(${flags})
endif()
add_link_options(-fuse-ld=lld)
set(CMAKE_BUILD_RPATH ${LLVM_LIBRARY_DIR})

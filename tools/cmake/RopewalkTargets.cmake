# Functions that declare this project's libraries and tools.

# TEMPORARY while the tree is being laid: sources not there yet are skipped.
function(_ropewalk_existing out)
  set(found)
  foreach(source ${ARGN})
    if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${source} OR EXISTS ${source})
      list(APPEND found ${source})
    else()
      message(WARNING "not there yet: ${CMAKE_CURRENT_SOURCE_DIR}/${source}")
    endif()
  endforeach()
  if(NOT found)
    set(found ${CMAKE_SOURCE_DIR}/tools/cmake/empty.cpp)
  endif()
  set(${out} ${found} PARENT_SCOPE)
endfunction()

# ropewalk_add_library(NAME SRC... [LINK LIB...] [DEPENDS TARGET...])
# A library on top of MLIR.
function(ropewalk_add_library name)
  cmake_parse_arguments(ARG "" "" "LINK;DEPENDS" ${ARGN})
  _ropewalk_existing(sources ${ARG_UNPARSED_ARGUMENTS})
  add_library(${name} STATIC ${sources})
  target_compile_definitions(${name} PRIVATE ${ROPEWALK_LLVM_DEFINITIONS})
  target_link_libraries(${name} PUBLIC ${ARG_LINK} MLIR LLVM)
  add_dependencies(${name} RopewalkTableGen ${ARG_DEPENDS})
endfunction()

# ropewalk_add_plain_library(NAME SRC... [LINK LIB...])
# A library that knows nothing of MLIR and LLVM.
function(ropewalk_add_plain_library name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  _ropewalk_existing(sources ${ARG_UNPARSED_ARGUMENTS})
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
endfunction()

# ropewalk_add_tool(NAME SRC... [LINK LIB...])
# An executable in build/bin.
function(ropewalk_add_tool name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  _ropewalk_existing(sources ${ARG_UNPARSED_ARGUMENTS})
  add_executable(${name} ${sources})
  target_compile_definitions(${name} PRIVATE ${ROPEWALK_LLVM_DEFINITIONS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
endfunction()

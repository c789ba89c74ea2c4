# Functions that declare this project's libraries and tools.

# ropewalk_add_library(NAME SRC... [LINK LIB...] [DEPENDS TARGET...])
# A library on top of MLIR.
function(ropewalk_add_library name)
  cmake_parse_arguments(ARG "" "" "LINK;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_compile_definitions(${name} PRIVATE ${ROPEWALK_LLVM_DEFINITIONS})
  target_link_libraries(${name} PUBLIC ${ARG_LINK} MLIR LLVM)
  add_dependencies(${name} RopewalkTableGen ${ARG_DEPENDS})
endfunction()

# ropewalk_add_plain_library(NAME SRC... [LINK LIB...])
# A library that knows nothing of MLIR and LLVM.
function(ropewalk_add_plain_library name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
endfunction()

# ropewalk_add_tool(NAME SRC... [LINK LIB...])
# An executable in build/bin.
function(ropewalk_add_tool name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_compile_definitions(${name} PRIVATE ${ROPEWALK_LLVM_DEFINITIONS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
endfunction()

//===- FlowGraph.h - Basic blocks of a kernel -------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Basic blocks of decoded code, for analyses at load time.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_FLOWGRAPH_H
#define ROPEWALK_LIB_EMULATOR_FLOWGRAPH_H

#include "Program.h"

namespace ropewalk::emulator {

/// Basic blocks in the order of the code.
struct FlowGraph {
  std::vector<uint32_t> starts;  ///< First instruction by block.
  std::vector<uint32_t> blockOf; ///< By instruction.
  std::vector<std::vector<uint32_t>> successors, predecessors;
  uint32_t exit = 0; ///< A virtual block after all ends.

  uint32_t end(uint32_t block) const {
    return block + 1 < starts.size() ? starts[block + 1]
                                     : uint32_t(blockOf.size());
  }
};

FlowGraph buildFlowGraph(const Program &program);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_FLOWGRAPH_H

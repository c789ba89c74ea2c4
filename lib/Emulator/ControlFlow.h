//===- ControlFlow.h - Analyses of the control flow -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reconvergence and initialization, once for each kernel at load time.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_CONTROLFLOW_H
#define ROPEWALK_LIB_EMULATOR_CONTROLFLOW_H

#include "Program.h"

namespace ropewalk::emulator {

/// Sets Inst::reconverge of every branch to the first instruction of its
/// immediate post-dominator.
void findReconvergence(Program &program);

/// Finds registers that some path may read before they are written, and makes
/// the instructions that touch them check at run time. \p reads and \p writes
/// list registers by instruction.
void findUninitialized(Program &program,
                       const std::vector<std::vector<uint32_t>> &reads,
                       const std::vector<std::vector<uint32_t>> &writes,
                       const std::vector<std::string> &names);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_CONTROLFLOW_H

//===- Inliner.h - Calls of device functions --------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Makes one body without calls out of an entry and the functions that it
// reaches.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_INLINER_H
#define ROPEWALK_LIB_EMULATOR_INLINER_H

#include "Syntax.h"

namespace ropewalk::emulator {

/// Replaces every call that `entry` reaches by the body of the callee, gives
/// local and shared variables their places, and sets the sizes in `entry.info`.
/// Recursive, indirect and external calls are errors; calls of __assertfail and
/// vprintf stay, with their arguments in registers.
bool inlineCalls(FunctionSyntax &entry,
                 const std::vector<FunctionSyntax> &functions,
                 const ModuleData &module, Error &error);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_INLINER_H

//===- Passes.h - Raising of exported graphs -------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_RAISE_PASSES_H
#define ROPEWALK_RAISE_PASSES_H

#include "mlir/Pass/Pass.h"

#include <memory>

namespace mlir::func {
class FuncOp;
} // namespace mlir::func

namespace ropewalk {

#define GEN_PASS_DECL
#include "Ropewalk/Raise/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "Ropewalk/Raise/Passes.h.inc"

} // namespace ropewalk

#endif // ROPEWALK_RAISE_PASSES_H

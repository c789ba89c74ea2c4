//===- Passes.h - Passes that make code -------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_CODEGEN_PASSES_H
#define ROPEWALK_CODEGEN_PASSES_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace ropewalk {

#define GEN_PASS_DECL
#include "Ropewalk/Codegen/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "Ropewalk/Codegen/Passes.h.inc"

} // namespace ropewalk

#endif // ROPEWALK_CODEGEN_PASSES_H

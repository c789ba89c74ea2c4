//===- Passes.h - Transformations of graphs --------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_TRANSFORMS_PASSES_H
#define ROPEWALK_TRANSFORMS_PASSES_H

#include "mlir/Pass/Pass.h"

#include <memory>

namespace ropewalk {

/// Where the parameters of an extended position map stand.
enum class ParameterBinding { constant, runtime };

#define GEN_PASS_DECL
#include "Ropewalk/Transforms/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "Ropewalk/Transforms/Passes.h.inc"

} // namespace ropewalk

#endif // ROPEWALK_TRANSFORMS_PASSES_H

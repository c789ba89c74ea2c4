//===- Signature.h - Entry points of a module ------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_CODEGEN_CPU_SIGNATURE_H
#define ROPEWALK_CODEGEN_CPU_SIGNATURE_H

#include "Ropewalk/Runtime/Program.h"
#include "mlir/IR/BuiltinOps.h"

#include <vector>

namespace ropewalk {

/// The signatures of all public functions with a body, in their order.
///
/// Names and kinds come from `rope.name` and `rope.kind` (defaults: `argN`,
/// `resultN`, "input"). A result that has the name of a cache is that cache,
/// updated, and no result of the entry. Sizes that are not static get symbols:
/// B for axis 0 of everything whose batch axis is dynamic, S for axis 1 of the
/// input "ids" and of results, C for axis 2 of caches, and otherwise the name
/// of the tensor and the axis. Errors: a type that no tensor can have, two
/// arguments of one name.
runtime::Result<std::vector<runtime::EntrySignature>>
readSignatures(mlir::ModuleOp module);

} // namespace ropewalk

#endif // ROPEWALK_CODEGEN_CPU_SIGNATURE_H

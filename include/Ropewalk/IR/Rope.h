//===- Rope.h - The rope dialect ------------------------ -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_IR_ROPE_H
#define ROPEWALK_IR_ROPE_H

#include "Ropewalk/IR/PositionMap.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "Ropewalk/IR/RopeAttrInterfaces.h.inc"
#include "Ropewalk/IR/RopeDialect.h.inc"
#include "Ropewalk/IR/RopeEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "Ropewalk/IR/RopeAttrs.h.inc"
#define GET_OP_CLASSES
#include "Ropewalk/IR/RopeOps.h.inc"

namespace ropewalk::rope {

/// True where a segment's query or key position differs from the position
/// itself: such a map is defined for causal attention only.
bool movesPositions(PositionMapAttrInterface map);

/// True where one of the `from` expressions of the map uses parameter `index`.
bool isUsedByCuts(PositionMapAttrInterface map, unsigned index);

/// True if `expr` provably does not decrease when dimension 0 grows, with
/// every symbol at least the minimum given. The reason otherwise goes to
/// `reason`.
bool isNonDecreasing(mlir::AffineExpr expr, mlir::ArrayRef<int64_t> minimums,
                     std::string &reason);

/// Names of the discardable attributes.
inline constexpr llvm::StringLiteral kNameAttr = "rope.name";
inline constexpr llvm::StringLiteral kKindAttr = "rope.kind";
inline constexpr llvm::StringLiteral kModelAttr = "rope.model";

} // namespace ropewalk::rope

#endif // ROPEWALK_IR_ROPE_H

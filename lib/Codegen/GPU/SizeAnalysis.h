//===- SizeAnalysis.h - Sizes of a graph's values as symbols ----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_CODEGEN_GPU_SIZEANALYSIS_H
#define ROPEWALK_LIB_CODEGEN_GPU_SIZEANALYSIS_H

#include "Ropewalk/Codegen/GPU/SizeExpr.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SmallVector.h"

namespace ropewalk::codegen {

/// Names of the symbols that arguments' shapes bind: items of a batch, new
/// tokens of each, slots of a cache.
inline constexpr llvm::StringLiteral kBatchSize = "B";
inline constexpr llvm::StringLiteral kTokens = "S";
inline constexpr llvm::StringLiteral kCapacity = "C";

using Shape = llvm::SmallVector<SizeExpr>;

/// Expresses shapes and index arithmetic of a function in those symbols.
/// Failures are diagnostics at the operation that has no such expression.
class SizeAnalysis {
public:
  explicit SizeAnalysis(mlir::func::FuncOp function) : function(function) {}

  /// Names the dynamic sizes of all arguments, by their rope.kind.
  mlir::LogicalResult initialize();

  mlir::FailureOr<Shape> shape(mlir::Value tensor) const;
  /// An index or integer that does not depend on data.
  mlir::FailureOr<SizeExpr> scalar(mlir::Value value) const;
  /// Whether `scalar` would succeed; no diagnostics.
  bool isSize(mlir::Value value) const;

private:
  mlir::FailureOr<SizeExpr> size(mlir::OpFoldResult value) const;
  mlir::FailureOr<SizeExpr> evaluate(mlir::Value value, bool report) const;

  mutable mlir::func::FuncOp function;
  llvm::SmallVector<Shape> argumentShapes;
};

/// Number of elements.
SizeExpr product(llvm::ArrayRef<SizeExpr> sizes);
/// Strides of a dense row-major tensor.
Shape denseStrides(llvm::ArrayRef<SizeExpr> sizes);

} // namespace ropewalk::codegen

#endif // ROPEWALK_LIB_CODEGEN_GPU_SIZEANALYSIS_H

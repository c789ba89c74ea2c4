//===- DecomposeRotate.cpp - rope.rotate by definition ---------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One table of cos and sin for the positions, one elementwise rotation in f32
// (f64 for f64 inputs), and a conversion to the type of the output where that
// is another one.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Transforms/AttentionEmission.h"
#include "Ropewalk/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"

namespace ropewalk {
#define GEN_PASS_DEF_DECOMPOSEROTATEPASS
#include "Ropewalk/Transforms/Passes.h.inc"
} // namespace ropewalk

using namespace mlir;
using namespace ropewalk;

namespace {

Value decompose(OpBuilder &b, rope::RotateOp op) {
  Location loc = op.getLoc();
  FloatType type = getElementTypeOrSelf(op.getInput().getType()).isF64()
                       ? b.getF64Type()
                       : b.getF32Type();
  RotationTables tables =
      emitRotationTables(b, loc, op.getRotary(), op.getPositions(), type);
  Value rotated = emitRotation(b, loc, op.getInput(), tables,
                               /*headsPerTable=*/1, type);
  AffineMap identity = b.getMultiDimIdentityMap(4);
  return linalg::GenericOp::create(
             b, loc, op.getOutput().getType(), ValueRange{rotated},
             ValueRange{op.getOutput()},
             ArrayRef<AffineMap>{identity, identity},
             SmallVector<utils::IteratorType>(4, utils::IteratorType::parallel),
             [&](OpBuilder &b, Location loc, ValueRange args) {
               linalg::YieldOp::create(
                   b, loc, emitFloatCast(b, loc, args[0], args[1].getType()));
             })
      .getResult(0);
}

struct DecomposeRotatePass final
    : ropewalk::impl::DecomposeRotatePassBase<DecomposeRotatePass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<rope::RotateOp> ops;
    getOperation()->walk([&](rope::RotateOp op) { ops.push_back(op); });
    IRRewriter rewriter(&getContext());
    for (rope::RotateOp op : ops) {
      rewriter.setInsertionPoint(op);
      rewriter.replaceOp(op, decompose(rewriter, op));
    }
  }
};

} // namespace

//===- FuseParallelOps.cpp - Elementwise fusion ----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Upstream's fusion with a control function. Reductions are no consumers:
// products with weights must keep the form that becomes a library call.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Codegen/CPU/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace ropewalk {
#define GEN_PASS_DEF_FUSEPARALLELOPSPASS
#include "Ropewalk/Codegen/CPU/Passes.h.inc"
} // namespace ropewalk

using namespace mlir;

namespace {

bool isWorthFusing(OpOperand *operand) {
  auto consumer = dyn_cast<linalg::GenericOp>(operand->getOwner());
  auto producer = operand->get().getDefiningOp<linalg::GenericOp>();
  if (!consumer || !producer || !producer->hasOneUse())
    return false;
  return consumer.getNumParallelLoops() == consumer.getNumLoops() &&
         producer.getNumParallelLoops() == producer.getNumLoops() &&
         consumer.getMatchingIndexingMap(operand).isPermutation();
}

struct FuseParallelOpsPass final
    : ropewalk::impl::FuseParallelOpsPassBase<FuseParallelOpsPass> {
  using Base::Base;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    linalg::populateElementwiseOpsFusionPatterns(patterns, isWorthFusing);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace

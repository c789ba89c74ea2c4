//===- LowerLinalgToParallelLoops.cpp - Loops on buffers -------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The leading parallel loops of a nest, all but the innermost loop, become one
// scf.parallel over the product of their sizes: one loop balances better than
// the outermost alone, and the innermost runs over contiguous elements.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Codegen/CPU/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace ropewalk {
#define GEN_PASS_DEF_LOWERLINALGTOPARALLELLOOPSPASS
#include "Ropewalk/Codegen/CPU/Passes.h.inc"
} // namespace ropewalk

using namespace mlir;

namespace {

/// Marks the sums of a reduction as reassociable and contractible.
void relaxSums(linalg::LinalgOp op) {
  if (op.getNumReductionLoops() == 0)
    return;
  auto flags = arith::FastMathFlagsAttr::get(
      op.getContext(),
      arith::FastMathFlags::reassoc | arith::FastMathFlags::contract);
  op.getBlock()->walk([&](Operation *inner) {
    if (isa<arith::AddFOp, arith::MulFOp>(inner))
      inner->setAttr("fastmath", flags);
  });
}

/// The index of a loop of this kind from 0 by 1, or nothing.
bool isPlainLoop(Operation *op) {
  auto loop = dyn_cast<scf::ForOp>(op);
  return loop && loop.getInitArgs().empty() &&
         isConstantIntValue(loop.getLowerBound(), 0) &&
         isConstantIntValue(loop.getStep(), 1);
}

/// Makes one parallel loop of the `count` outer loops of a perfect nest.
void parallelize(RewriterBase &rewriter, ArrayRef<Operation *> loops,
                 unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    if (!isPlainLoop(loops[i]))
      return;
    Block *body = cast<scf::ForOp>(loops[i]).getBody();
    if (i + 1 < count && &body->front() != loops[i + 1])
      return;
  }
  auto outer = cast<scf::ForOp>(loops.front());
  Location loc = outer.getLoc();
  rewriter.setInsertionPoint(outer);
  // Inner bounds are sizes of operands, defined before the nest.
  for (unsigned i = 1; i < count; ++i)
    if (!outer.isDefinedOutsideOfLoop(
            cast<scf::ForOp>(loops[i]).getUpperBound()))
      return;
  SmallVector<Value> sizes;
  Value product;
  for (unsigned i = 0; i < count; ++i) {
    Value size = cast<scf::ForOp>(loops[i]).getUpperBound();
    sizes.push_back(size);
    product =
        product ? arith::MulIOp::create(rewriter, loc, product, size) : size;
  }
  Value zero = arith::ConstantIndexOp::create(rewriter, loc, 0);
  Value one = arith::ConstantIndexOp::create(rewriter, loc, 1);
  auto parallel = scf::ParallelOp::create(rewriter, loc, ValueRange{zero},
                                          ValueRange{product}, ValueRange{one});
  rewriter.setInsertionPointToStart(parallel.getBody());
  SmallVector<Value> indices(count);
  Value rest = parallel.getInductionVars()[0];
  for (unsigned i = count; i-- > 1;) {
    indices[i] = arith::RemUIOp::create(rewriter, loc, rest, sizes[i]);
    rest = arith::DivUIOp::create(rewriter, loc, rest, sizes[i]);
  }
  indices[0] = rest;
  auto inner = cast<scf::ForOp>(loops[count - 1]);
  for (unsigned i = 0; i < count; ++i)
    rewriter.replaceAllUsesWith(cast<scf::ForOp>(loops[i]).getInductionVar(),
                                indices[i]);
  rewriter.eraseOp(inner.getBody()->getTerminator());
  rewriter.inlineBlockBefore(inner.getBody(),
                             parallel.getBody()->getTerminator(), {rest});
  rewriter.eraseOp(outer);
}

struct LowerLinalgToParallelLoopsPass final
    : ropewalk::impl::LowerLinalgToParallelLoopsPassBase<
          LowerLinalgToParallelLoopsPass> {
  using Base::Base;

  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    // Copies between buffers with gaps would become calls of a generic routine.
    SmallVector<memref::CopyOp> copies;
    getOperation()->walk([&](memref::CopyOp op) { copies.push_back(op); });
    for (memref::CopyOp op : copies) {
      rewriter.setInsertionPoint(op);
      if (isa<MemRefType>(op.getSource().getType()) &&
          isa<MemRefType>(op.getTarget().getType())) {
        linalg::makeMemRefCopyOp(rewriter, op.getLoc(), op.getSource(),
                                 op.getTarget());
        rewriter.eraseOp(op);
      }
    }
    SmallVector<linalg::LinalgOp> ops;
    getOperation()->walk([&](linalg::LinalgOp op) { ops.push_back(op); });
    for (linalg::LinalgOp op : ops) {
      if (!op.hasPureBufferSemantics()) {
        op->emitOpError("cannot be lowered to loops: its operands must be "
                        "buffers, got tensors (bufferize first)");
        return signalPassFailure();
      }
      relaxSums(op);
      bool isInside = op->getParentOfType<scf::ParallelOp>() ||
                      op->getParentOfType<scf::ForallOp>();
      unsigned parallel = 0;
      for (utils::IteratorType iterator : op.getIteratorTypesArray()) {
        if (iterator != utils::IteratorType::parallel)
          break;
        ++parallel;
      }
      rewriter.setInsertionPoint(op);
      FailureOr<linalg::LinalgLoops> loops =
          linalg::linalgOpToLoops(rewriter, op);
      if (failed(loops)) {
        op->emitOpError("cannot be lowered to loops: its operands must be "
                        "buffers");
        return signalPassFailure();
      }
      rewriter.eraseOp(op);
      if (loops->empty())
        continue;
      unsigned count = std::min<unsigned>(
          parallel, static_cast<unsigned>(loops->size()) - 1);
      if (!isInside && count > 0)
        parallelize(rewriter, *loops, count);
    }
  }
};

} // namespace

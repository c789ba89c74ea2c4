//===- TuneParallelLoops.cpp - OpenMP clauses ------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Codegen/CPU/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"

namespace ropewalk {
#define GEN_PASS_DEF_TUNEPARALLELLOOPSPASS
#include "Ropewalk/Codegen/CPU/Passes.h.inc"
} // namespace ropewalk

using namespace mlir;

namespace {

struct TuneParallelLoopsPass final
    : ropewalk::impl::TuneParallelLoopsPassBase<TuneParallelLoopsPass> {
  using Base::Base;

  void runOnOperation() override {
    getOperation()->walk([&](omp::WsloopOp loop) {
      auto nest = dyn_cast<omp::LoopNestOp>(loop.getWrappedLoop());
      auto region = loop->getParentOfType<omp::ParallelOp>();
      if (!nest || !region || region.getIfExpr())
        return;
      auto definedOutside = [&](Value value) {
        return !region->isProperAncestor(
                   value.getParentBlock()->getParentOp()) &&
               value.getParentBlock()->getParentOp() != region;
      };
      Value from = nest.getLoopLowerBounds()[0];
      Value to = nest.getLoopUpperBounds()[0];
      Value step = nest.getLoopSteps()[0];
      OpBuilder b(region);
      // Constants may have been moved into the region.
      auto outside = [&](Value value) -> Value {
        if (definedOutside(value))
          return value;
        Operation *op = value.getDefiningOp();
        if (op && op->hasTrait<OpTrait::ConstantLike>())
          return b.clone(*op)->getResult(0);
        return {};
      };
      from = outside(from);
      to = outside(to);
      step = outside(step);
      if (!from || !to || !step)
        return;
      Value next = arith::AddIOp::create(b, region.getLoc(), from, step);
      Value several = arith::CmpIOp::create(
          b, region.getLoc(), arith::CmpIPredicate::slt, next, to);
      region.getIfExprMutable().assign(several);
      loop.setScheduleKind(omp::ClauseScheduleKind::Guided);
    });
  }
};

} // namespace

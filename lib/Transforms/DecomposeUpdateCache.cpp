//===- DecomposeUpdateCache.cpp - rope.update_cache ------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Items have offsets of their own, so each is one insertion of a slice; where
// the offset is a scalar all items are one insertion. Offsets that break the
// operation's contract are moved to the nearest slots that exist, so that
// compiled code never writes outside of the cache.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/IR/Rope.h"
#include "Ropewalk/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"

namespace ropewalk {
#define GEN_PASS_DEF_DECOMPOSEUPDATECACHEPASS
#include "Ropewalk/Transforms/Passes.h.inc"
} // namespace ropewalk

using namespace mlir;
using namespace ropewalk;

namespace {

Value decompose(OpBuilder &b, rope::UpdateCacheOp op) {
  Location loc = op.getLoc();
  Value rows = op.getRows(), offset = op.getOffset();
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, rows);
  SmallVector<OpFoldResult> zeros(4, b.getIndexAttr(0));
  SmallVector<OpFoldResult> ones(4, b.getIndexAttr(1));
  Value count = getValueOrCreateConstantIndexOp(b, loc, sizes[2]);
  Value capacity = tensor::DimOp::create(b, loc, op.getCache(), 2);
  count = arith::MinSIOp::create(b, loc, count, capacity);
  sizes[2] = count;
  Value last = arith::SubIOp::create(b, loc, capacity, count);
  auto slot = [&](OpBuilder &b, Value value) -> OpFoldResult {
    Value index = arith::IndexCastOp::create(b, loc, b.getIndexType(), value);
    index = arith::MinSIOp::create(b, loc, index, last);
    return arith::MaxSIOp::create(b, loc, index,
                                  arith::ConstantIndexOp::create(b, loc, 0))
        .getResult();
  };
  if (!isa<RankedTensorType>(offset.getType())) {
    SmallVector<OpFoldResult> to = zeros;
    to[2] = slot(b, offset);
    return tensor::InsertSliceOp::create(b, loc, rows, op.getCache(), to, sizes,
                                         ones);
  }
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  Value items = getValueOrCreateConstantIndexOp(b, loc, sizes[0]);
  auto loop = scf::ForOp::create(
      b, loc, zero, items, one, ValueRange{op.getCache()},
      [&](OpBuilder &b, Location loc, Value item, ValueRange carried) {
        SmallVector<OpFoldResult> from = zeros, to = zeros, extent = sizes;
        from[0] = to[0] = item;
        extent[0] = b.getIndexAttr(1);
        to[2] = slot(
            b, tensor::ExtractOp::create(b, loc, offset, ValueRange{item}));
        Value slice =
            tensor::ExtractSliceOp::create(b, loc, rows, from, extent, ones);
        Value updated = tensor::InsertSliceOp::create(b, loc, slice, carried[0],
                                                      to, extent, ones);
        scf::YieldOp::create(b, loc, updated);
      });
  return loop.getResult(0);
}

struct DecomposeUpdateCachePass final
    : ropewalk::impl::DecomposeUpdateCachePassBase<DecomposeUpdateCachePass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<rope::UpdateCacheOp> ops;
    getOperation()->walk([&](rope::UpdateCacheOp op) { ops.push_back(op); });
    IRRewriter rewriter(&getContext());
    for (rope::UpdateCacheOp op : ops) {
      rewriter.setInsertionPoint(op);
      rewriter.replaceOp(op, decompose(rewriter, op));
    }
  }
};

} // namespace

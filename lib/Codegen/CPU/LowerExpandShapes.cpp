//===- LowerExpandShapes.cpp - several dynamic sizes of one ----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Upstream's expand-strided-metadata derives the one dynamic size of a group
// from the others, and crashes where a group has two (rows B * S into B and S).
// The op names its sizes, so here they are taken from it:
//
//   buffer, offset, sizes, strides = memref.extract_strided_metadata source
//   memref.reinterpret_cast buffer to offset, sizes of the op, strides where
//     stride of the last dimension of a group = stride of the source dimension
//     stride of any other = size * stride of the dimension after it
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Codegen/CPU/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/PatternMatch.h"

namespace ropewalk {
#define GEN_PASS_DEF_LOWEREXPANDSHAPESPASS
#include "Ropewalk/Codegen/CPU/Passes.h.inc"
} // namespace ropewalk

using namespace mlir;

namespace {

bool hasGroupOfDynamicSizes(memref::ExpandShapeOp op) {
  return llvm::any_of(
      op.getReassociationIndices(), [&](const ReassociationIndices &group) {
        return llvm::count_if(group, [&](int64_t dimension) {
                 return op.getResultType().isDynamicDim(dimension);
               }) > 1;
      });
}

/// Fails where the layout of the result has no strides.
LogicalResult lower(memref::ExpandShapeOp op) {
  IRRewriter rewriter(op);
  Location loc = op.getLoc();
  MemRefType type = op.getResultType();
  SmallVector<int64_t> staticStrides;
  int64_t staticOffset;
  if (failed(type.getStridesAndOffset(staticStrides, staticOffset)))
    return op.emitError("expected a layout with strides, got ")
           << type.getLayout();

  auto metadata =
      memref::ExtractStridedMetadataOp::create(rewriter, loc, op.getSrc());
  SmallVector<OpFoldResult> sizes = op.getMixedOutputShape();
  SmallVector<OpFoldResult> strides(type.getRank());
  for (auto [source, group] : llvm::enumerate(op.getReassociationIndices())) {
    Value stride = metadata.getStrides()[source];
    for (int64_t dimension : llvm::reverse(group)) {
      // A stride that the type knows stands in the op as a constant.
      strides[dimension] = stride;
      if (!ShapedType::isDynamic(staticStrides[dimension]))
        strides[dimension] = rewriter.getIndexAttr(staticStrides[dimension]);
      if (dimension == group.front())
        break;
      Value size =
          getValueOrCreateConstantIndexOp(rewriter, loc, sizes[dimension]);
      stride = arith::MulIOp::create(rewriter, loc, stride, size);
    }
  }
  OpFoldResult offset = metadata.getOffset();
  if (!ShapedType::isDynamic(staticOffset))
    offset = rewriter.getIndexAttr(staticOffset);
  rewriter.replaceOpWithNewOp<memref::ReinterpretCastOp>(
      op, type, metadata.getBaseBuffer(), offset, sizes, strides);
  return success();
}

struct LowerExpandShapesPass final
    : ropewalk::impl::LowerExpandShapesPassBase<LowerExpandShapesPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<memref::ExpandShapeOp> ops;
    getOperation()->walk([&](memref::ExpandShapeOp op) {
      if (hasGroupOfDynamicSizes(op))
        ops.push_back(op);
    });
    for (memref::ExpandShapeOp op : ops)
      if (failed(lower(op)))
        return signalPassFailure();
  }
};

} // namespace

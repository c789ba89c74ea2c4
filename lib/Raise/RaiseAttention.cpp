//===- RaiseAttention.cpp - rope-raise-attention ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// First dead operations are erased, and every softmax of the function is
// matched on the unchanged graph, then every match is replaced, then what has
// died is erased. See AttentionMatch.h for the analysis.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/IR/Rope.h"
#include "Ropewalk/Raise/AttentionMatch.h"
#include "Ropewalk/Raise/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace ropewalk {
#define GEN_PASS_DEF_RAISEATTENTIONPASS
#include "Ropewalk/Raise/Passes.h.inc"
} // namespace ropewalk

using namespace mlir;

namespace ropewalk {
namespace {

Value transpose(OpBuilder &b, Location loc, Value tensor,
                ArrayRef<int64_t> permutation) {
  bool isIdentity = true;
  for (auto [axis, source] : llvm::enumerate(permutation))
    isIdentity &= int64_t(axis) == source;
  if (isIdentity)
    return tensor;
  auto type = cast<RankedTensorType>(tensor.getType());
  SmallVector<int64_t> shape;
  for (int64_t source : permutation)
    shape.push_back(type.getDimSize(source));
  Value init = tensor::EmptyOp::create(b, loc, shape, type.getElementType());
  return linalg::TransposeOp::create(b, loc, tensor, init, permutation)
      ->getResult(0);
}

/// The operand as [B, H, S, D].
Value materialize(OpBuilder &b, Location loc, const AttentionOperand &operand) {
  SmallVector<int64_t> present;
  for (int64_t axis : operand.permutation)
    if (axis >= 0)
      present.push_back(axis);
  Value tensor = transpose(b, loc, operand.tensor, present);
  if (present.size() == operand.permutation.size())
    return tensor;
  // An absent axis joins the next one that is there; the last always is.
  auto type = cast<RankedTensorType>(tensor.getType());
  SmallVector<int64_t> shape;
  SmallVector<ReassociationIndices> groups(1);
  for (auto [axis, source] : llvm::enumerate(operand.permutation)) {
    groups.back().push_back(axis);
    shape.push_back(source < 0
                        ? 1
                        : cast<RankedTensorType>(operand.tensor.getType())
                              .getDimSize(source));
    if (source >= 0 && axis + 1 < operand.permutation.size())
      groups.emplace_back();
  }
  return tensor::ExpandShapeOp::create(
      b, loc, RankedTensorType::get(shape, type.getElementType()), tensor,
      groups);
}

/// Puts rope.attention in the place of the match.
void replace(const AttentionMatch &match, IRMapping &replaced) {
  linalg::LinalgOp root = match.root;
  Location loc = root.getLoc();
  OpBuilder b(root);
  auto operand = [&](AttentionOperand operand) {
    operand.tensor = replaced.lookupOrDefault(operand.tensor);
    return materialize(b, loc, operand);
  };
  Value query = operand(match.query), key = operand(match.key);
  Value value = operand(match.value);
  auto type = cast<RankedTensorType>(root->getResult(0).getType());
  int64_t dim = cast<RankedTensorType>(query.getType()).getDimSize(3);
  Value init =
      tensor::EmptyOp::create(b, loc, match.outputShape, type.getElementType());
  auto rotary = rope::RotaryAttr::get(b.getContext(), APFloat(match.theta), dim,
                                      rope::RotaryLayout::half, Attribute());
  OperationState state(loc, rope::AttentionOp::getOperationName());
  Value none;
  rope::AttentionOp::build(
      b, state, TypeRange(init.getType()), query, key, value, /*bias=*/none,
      /*query_offset=*/none, /*key_length=*/none, /*position_offset=*/none,
      /*sequence_length=*/none, /*parameters=*/ValueRange(),
      /*inverse_frequencies=*/none, /*query_start=*/none, /*key_start=*/none,
      /*query_positions=*/none, /*key_positions=*/none, ValueRange(init),
      cast<rope::PositionMapAttrInterface>(
          Attribute(rope::IdentityAttr::get(b.getContext()))),
      rotary, b.getF64FloatAttr(match.scale), b.getUnitAttr(),
      /*softcap=*/FloatAttr());
  Value output = b.create(state)->getResult(0);

  SmallVector<int64_t> permutation;
  SmallVector<ReassociationIndices> groups;
  for (const auto &axes : match.resultAxes) {
    ReassociationIndices group;
    for (int64_t axis : axes) {
      group.push_back(permutation.size());
      permutation.push_back(axis);
    }
    groups.push_back(group);
  }
  output = transpose(b, loc, output, permutation);
  if (groups.size() != permutation.size())
    output = tensor::CollapseShapeOp::create(b, loc, type, output, groups);
  replaced.map(root->getResult(0), output);
  root->getResult(0).replaceAllUsesWith(output);
}

void eraseDeadOperations(func::FuncOp function) {
  for (Block &block : function.getBody())
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (isOpTriviallyDead(&op))
        op.erase();
}

struct RaiseAttentionPass final
    : impl::RaiseAttentionPassBase<RaiseAttentionPass> {
  using Base::Base;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    // A dead use of the scores is no use.
    eraseDeadOperations(function);
    SmallVector<Operation *> sums;
    function.walk([&](Operation *op) {
      if (isSoftmaxSum(op))
        sums.push_back(op);
    });
    std::vector<AttentionMatch> matches;
    for (Operation *sum : sums) {
      AttentionResult result = matchAttention(sum);
      if (auto *miss = std::get_if<AttentionMiss>(&result)) {
        if (reportMisses)
          emitRemark(miss->operation->getLoc())
              << "attention not raised: " << miss->reason;
        continue;
      }
      matches.push_back(std::get<AttentionMatch>(result));
    }
    if (matches.empty())
      return;

    IRMapping replaced;
    for (AttentionMatch &match : matches) {
      if (reportMatches)
        emitRemark(match.root.getLoc())
            << "attention raised: " << match.outputShape[1] << " query heads, "
            << match.numKVHeads << " KV heads, theta " << match.theta
            << ", scale " << match.scale;
      replace(match, replaced);
    }
    eraseDeadOperations(function);
  }
};
} // namespace
} // namespace ropewalk

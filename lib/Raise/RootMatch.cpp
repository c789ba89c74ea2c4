//===- RootMatch.cpp - The product of weights and values -------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The root of an attention is a sum of products that a sum of exponentials
// flows into: a matrix product, or what fusing the division of the softmax into
// one leaves. Which factor is the weight and which the value, and what each
// loop is, follows from what the factors depend on.
//
//===----------------------------------------------------------------------===//

#include "Matcher.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;

namespace ropewalk {

using Kind = Expression::Kind;
using Opcode = Expression::Opcode;

bool isSoftmaxSum(Operation *op) {
  if (isa<linalg::SoftmaxOp>(op))
    return op->getNumResults() == 1;
  auto sum = dyn_cast<linalg::LinalgOp>(op);
  if (!sum || !sum.hasPureTensorSemantics() ||
      sum.getNumReductionLoops() != 1 || op->getNumResults() != 1)
    return false;
  IndexSpace space(op->getContext());
  Elements elements(space);
  SmallVector<AffineExpr> indices;
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  if (!type.hasStaticShape()) {
    // Not analysed, but to be named as a miss.
    Operation *summand = sum.getDpsInputOperand(0)->get().getDefiningOp();
    if (auto generic = dyn_cast_or_null<linalg::GenericOp>(summand))
      summand =
          generic.getBody()->getTerminator()->getOperand(0).getDefiningOp();
    return isa_and_nonnull<math::ExpOp>(summand);
  }
  for (int64_t size : type.getShape())
    indices.push_back(space.addVariable(size, "d"));
  const Expression *value =
      elements.expand(elements.read(op->getResult(0), indices));
  return value->kind == Kind::Reduction && value->opcode == Opcode::Add &&
         elements.expand(value->operands[0])->is(Opcode::Exp);
}

/// True if `op` adds products up.
static bool sumsProducts(linalg::LinalgOp op) {
  if (op.getNumReductionLoops() == 0 || op->getNumResults() != 1)
    return false;
  Operation *sum =
      op.getBlock()->getTerminator()->getOperand(0).getDefiningOp();
  return isa_and_nonnull<arith::AddFOp>(sum) &&
         llvm::any_of(sum->getOperands(), [](Value operand) {
           return operand.getDefiningOp<arith::MulFOp>() ||
                  operand.getDefiningOp<arith::DivFOp>();
         });
}

LogicalResult Matcher::findRoot(Operation *softmaxSum) {
  result.root = {};
  llvm::SetVector<Operation *> pending;
  pending.insert(softmaxSum);
  for (size_t next = 0; next < pending.size(); ++next) {
    for (OpOperand &use : pending[next]->getUses()) {
      Operation *user = use.getOwner();
      auto linalgOp = dyn_cast<linalg::LinalgOp>(user);
      if (linalgOp && sumsProducts(linalgOp)) {
        if (!linalgOp.isDpsInput(&use))
          continue;
        if (result.root && result.root != linalgOp)
          return miss(user, "the weights of one softmax are multiplied twice");
        result.root = linalgOp;
        continue;
      }
      bool isElementwise = linalgOp && linalgOp.getNumReductionLoops() == 0;
      if (isElementwise || isa<tensor::TensorDialect>(user->getDialect()) ||
          OpTrait::hasElementwiseMappableTraits(user))
        pending.insert(user);
    }
  }
  if (!result.root)
    return miss(softmaxSum,
                "no product with values follows the sum of exponentials");
  return success();
}

/// True if `expression` is computed from `op`, with nothing but elementwise
/// operations between.
static bool reaches(Elements &elements, const Expression *expression,
                    Operation *op, unsigned depth = 16) {
  if (depth == 0)
    return false;
  const Expression *part = elements.expand(expression);
  if (part->origin == op)
    return true;
  return part->kind == Kind::Operation &&
         llvm::any_of(part->operands, [&](const Expression *operand) {
           return reaches(elements, operand, op, depth - 1);
         });
}

/// The tensors that `expression` passes before anything is computed.
static void collectViews(const Expression *expression,
                         SmallVectorImpl<Element> &views) {
  if (expression->isRead())
    llvm::append_range(views, expression->views);
  for (const Expression *operand : expression->operands)
    collectViews(operand, views);
}

LogicalResult Matcher::bindLoops(Operation *softmaxSum) {
  linalg::LinalgOp root = result.root;
  SmallVector<int64_t> ranges = root.getStaticLoopRanges();
  if (llvm::any_of(ranges, ShapedType::isDynamic))
    return miss(root, "the product of weights and values has dynamic sizes");
  AffineMap map = root.getMatchingIndexingMap(root.getDpsInitOperand(0));
  if (!map.isProjectedPermutation() || root.getNumReductionLoops() != 1)
    return miss(root, "the product of weights and values is not a sum over one "
                      "dimension");
  SmallVector<AffineExpr> variables(ranges.size()), indices;
  for (AffineExpr expr : map.getResults()) {
    unsigned loop = cast<AffineDimExpr>(expr).getPosition();
    variables[loop] = space.addVariable(ranges[loop], "l");
    indices.push_back(variables[loop]);
  }
  const Expression *sum =
      elements.expand(elements.read(root->getResult(0), indices));
  if (sum->kind != Kind::Reduction || sum->opcode != Opcode::Add ||
      sum->variables.size() != 1 || !sum->operands[0]->is(Opcode::Mul))
    return miss(
        root,
        "the values are not multiplied by weights and added up "
        "over the keys: one term is " +
            describe(sum->kind == Kind::Reduction ? sum->operands[0] : sum));
  if (!elements.expand(sum->operands[1])->isNumber(0))
    return miss(root, "something is added to the product of weights and "
                      "values");
  weights = sum->operands[0]->operands[0];
  values = sum->operands[0]->operands[1];
  bool isFirst = reaches(elements, weights, softmaxSum);
  if (isFirst && reaches(elements, values, softmaxSum))
    return miss(root, "the weights are multiplied with themselves");
  if (!isFirst)
    std::swap(weights, values);

  // Loops: rows are the weights' own, channels the values' own; the others are
  // items and heads. Heads that share all values are the weights' own too; the
  // last of them is taken for the rows, which everything after would refute.
  std::optional<unsigned> rowLoop, channelLoop;
  SmallVector<unsigned> batchLoops;
  for (auto [loop, variable] : llvm::enumerate(variables)) {
    if (!variable)
      continue;
    bool ofWeights = elements.dependsOn(weights, variable);
    bool ofValues = elements.dependsOn(values, variable);
    if (ofWeights == ofValues) {
      batchLoops.push_back(loop);
    } else if (ofWeights) {
      if (rowLoop)
        batchLoops.push_back(*rowLoop);
      rowLoop = loop;
    } else {
      if (channelLoop)
        batchLoops.push_back(*channelLoop);
      channelLoop = loop;
    }
  }
  llvm::sort(batchLoops);
  if (!rowLoop || !channelLoop || batchLoops.size() > 2)
    return miss(root, "the product of weights and values is not a matrix "
                      "product with at most two batch dimensions");
  numRows = ranges[*rowLoop];
  numValueChannels = ranges[*channelLoop];
  numKeys = space.getBounds(sum->variables[0]).second + 1;

  // A single batch dimension may be items and heads in one. Some tensor on the
  // way from the weights has them apart; else there is one item.
  if (batchLoops.size() == 1) {
    int64_t size = numHeads = ranges[batchLoops[0]];
    SmallVector<Element> views;
    collectViews(weights, views);
    for (const Element &view : views) {
      auto shape = cast<RankedTensorType>(view.tensor.getType()).getShape();
      if (shape.size() != 4 || shape[0] * shape[1] != size)
        continue;
      SmallVector<AffineExpr> parts =
          space.delinearize(variables[batchLoops[0]], shape.take_front(2));
      if (view.indices[0] != parts[0] || view.indices[1] != parts[1])
        continue;
      numItems = shape[0];
      numHeads = shape[1];
      break;
    }
  } else if (batchLoops.size() == 2) {
    numItems = ranges[batchLoops[0]];
    numHeads = ranges[batchLoops[1]];
  }
  item = space.addVariable(numItems, "b");
  head = space.addVariable(numHeads, "h");
  row = space.addVariable(numRows, "i");
  key = space.addVariable(numKeys, "j");
  channel = space.addVariable(numValueChannels, "d");
  auto bind = [&](AffineExpr variable, AffineExpr value) {
    weights = elements.substitute(weights, variable, value);
    values = elements.substitute(values, variable, value);
  };
  bind(sum->variables[0], key);
  bind(variables[*rowLoop], row);
  bind(variables[*channelLoop], channel);
  if (batchLoops.size() == 1) {
    bind(variables[batchLoops[0]],
         space.linearize({item, head}, {numItems, numHeads}));
  } else if (batchLoops.size() == 2) {
    bind(variables[batchLoops[0]], item);
    bind(variables[batchLoops[1]], head);
  }

  for (AffineExpr expr : map.getResults()) {
    unsigned loop = cast<AffineDimExpr>(expr).getPosition();
    if (loop == *rowLoop)
      result.resultAxes.push_back({2});
    else if (loop == *channelLoop)
      result.resultAxes.push_back({3});
    else if (batchLoops.size() == 1)
      result.resultAxes.push_back({0, 1});
    else
      result.resultAxes.push_back({loop == batchLoops[0] ? 0 : 1});
  }
  if (batchLoops.empty())
    result.resultAxes.front().insert(result.resultAxes.front().begin(), {0, 1});
  return success();
}

} // namespace ropewalk

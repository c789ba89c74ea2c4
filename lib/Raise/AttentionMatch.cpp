//===- AttentionMatch.cpp - Rotary attention in a graph --------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// From a sum of exponentials forward to the product with the values, and from
// one element of that product backward through softmax and scores to query, key
// and value.
//
//===----------------------------------------------------------------------===//

#include "Matcher.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace ropewalk {

using Kind = Expression::Kind;
using Opcode = Expression::Opcode;

//===----------------------------------------------------------------------===//
// Shared by the parts
//===----------------------------------------------------------------------===//

LogicalResult Matcher::miss(Operation *op, const Twine &reason) {
  if (!firstMiss.operation)
    firstMiss = {op ? op : result.root.getOperation(), reason.str()};
  return failure();
}

void Matcher::own(const Expression *expression) {
  if (!expression->isRead())
    return;
  for (const Element &view : expression->views)
    if (Operation *op = view.tensor.getDefiningOp())
      owned.insert(op);
}

const Expression *Matcher::expandOwned(const Expression *expression) {
  while (expression->isRead()) {
    own(expression);
    const Expression *next = elements.expandOnce(expression);
    if (next == expression)
      break;
    expression = next;
  }
  return expression;
}

std::string Matcher::describe(const Expression *expression) {
  switch (expression->kind) {
  case Kind::Number:
    return "the constant " + formatNumber(expression->number);
  case Kind::Integer:
    return llvm::formatv("the constant {0}", expression->integer);
  case Kind::Index:
    return "the index " + space.print(expression->index);
  case Kind::Scalar:
    return "a run-time scalar";
  case Kind::Read: {
    Value tensor = expression->getElement().tensor;
    if (auto argument = dyn_cast<BlockArgument>(tensor))
      return llvm::formatv("argument #{0}", argument.getArgNumber());
    return llvm::formatv("a result of '{0}'",
                         tensor.getDefiningOp()->getName());
  }
  case Kind::Reduction:
    return expression->opcode == Opcode::Add ? "a sum over a dimension"
                                             : "a maximum over a dimension";
  case Kind::Operation:
    break;
  }
  static constexpr StringLiteral names[] = {
      "a sum",      "a difference",   "a product",          "a quotient",
      "a negation", "an exponential", "a cosine",           "a sine",
      "a maximum",  "a selection",    "a conjunction",      "a disjunction",
      "a negation", "a comparison",   "a converted integer"};
  if (expression->opcode == Opcode::Other)
    return llvm::formatv("a result of '{0}'", expression->operation->getName());
  return names[size_t(expression->opcode)].str();
}

//===----------------------------------------------------------------------===//
// The root
//===----------------------------------------------------------------------===//

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

/// Finds the product of the weights, which depend on `softmaxSum`, and values.
LogicalResult Matcher::findRoot(Operation *softmaxSum,
                                unsigned &weightsOperand) {
  result.root = {};
  llvm::SetVector<Operation *> pending;
  pending.insert(softmaxSum);
  for (size_t next = 0; next < pending.size(); ++next) {
    for (OpOperand &use : pending[next]->getUses()) {
      Operation *user = use.getOwner();
      auto linalgOp = dyn_cast<linalg::LinalgOp>(user);
      if (linalgOp && linalg::isaContractionOpInterface(linalgOp)) {
        if (!linalgOp.isDpsInput(&use))
          continue;
        if (result.root && result.root != linalgOp)
          return miss(user, "the weights of one softmax are multiplied twice");
        if (result.root && weightsOperand != use.getOperandNumber())
          return miss(user, "the weights are multiplied with themselves");
        result.root = linalgOp;
        weightsOperand = use.getOperandNumber();
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

/// Gives the loops of the root variables, and finds out what an element of its
/// two operands is.
LogicalResult Matcher::bindLoops(unsigned weightsOperand) {
  linalg::LinalgOp root = result.root;
  FailureOr<linalg::ContractionDimensions> dims =
      linalg::inferContractionDims(root);
  SmallVector<int64_t> ranges = root.getStaticLoopRanges();
  if (llvm::any_of(ranges, ShapedType::isDynamic))
    return miss(root, "the product of weights and values has dynamic sizes");
  if (failed(dims) || dims->m.size() != 1 || dims->n.size() != 1 ||
      dims->k.size() != 1 || dims->batch.size() > 2)
    return miss(root, "the product of weights and values is not a matrix "
                      "product with at most two batch dimensions");
  if (weightsOperand == 1)
    std::swap(dims->m, dims->n);
  numRows = ranges[dims->m[0]];
  numKeys = ranges[dims->k[0]];
  numValueChannels = ranges[dims->n[0]];
  row = space.addVariable(numRows, "i");
  key = space.addVariable(numKeys, "j");
  channel = space.addVariable(numValueChannels, "d");

  SmallVector<AffineExpr> loops(ranges.size());
  loops[dims->m[0]] = row;
  loops[dims->k[0]] = key;
  loops[dims->n[0]] = channel;
  auto readOperand = [&](unsigned number) {
    OpOperand &operand = root->getOpOperand(number);
    SmallVector<AffineExpr> indices;
    for (AffineExpr expr : root.getMatchingIndexingMap(&operand).getResults())
      indices.push_back(space.replace(expr, loops));
    return elements.read(operand.get(), indices);
  };

  // A single batch dimension may be items and heads in one. Some tensor on the
  // way from the weights has them apart; else there is one item.
  if (dims->batch.size() == 1) {
    int64_t size = ranges[dims->batch[0]];
    numHeads = size;
    AffineExpr merged = space.addVariable(size, "g");
    loops[dims->batch[0]] = merged;
    const Expression *probe = readOperand(weightsOperand);
    for (const Element &view : probe->views) {
      auto shape = cast<RankedTensorType>(view.tensor.getType()).getShape();
      if (shape.size() != 4 || shape[0] * shape[1] != size)
        continue;
      SmallVector<AffineExpr> parts =
          space.delinearize(merged, shape.take_front(2));
      if (view.indices[0] != parts[0] || view.indices[1] != parts[1])
        continue;
      numItems = shape[0];
      numHeads = shape[1];
      break;
    }
  } else if (dims->batch.size() == 2) {
    numItems = ranges[dims->batch[0]];
    numHeads = ranges[dims->batch[1]];
  }
  item = space.addVariable(numItems, "b");
  head = space.addVariable(numHeads, "h");
  if (dims->batch.size() == 1)
    loops[dims->batch[0]] = space.linearize({item, head}, {numItems, numHeads});
  else if (dims->batch.size() == 2)
    std::tie(loops[dims->batch[0]], loops[dims->batch[1]]) =
        std::make_pair(item, head);

  weights = readOperand(weightsOperand);
  values = readOperand(1 - weightsOperand);
  OpOperand *init = root.getDpsInitOperand(0);
  SmallVector<AffineExpr> indices;
  for (AffineExpr expr : root.getMatchingIndexingMap(init).getResults()) {
    auto loop = dyn_cast<AffineDimExpr>(expr);
    if (!loop)
      return miss(root, "the result of the product of weights and values is "
                        "not indexed by its loops");
    unsigned position = loop.getPosition();
    SmallVector<int64_t, 2> axes;
    if (position == dims->m[0])
      axes = {2};
    else if (position == dims->n[0])
      axes = {3};
    else if (dims->batch.size() == 1)
      axes = {0, 1};
    else
      axes = {position == dims->batch[0] ? 0 : 1};
    result.resultAxes.push_back(axes);
    indices.push_back(loops[position]);
  }
  if (dims->batch.empty())
    result.resultAxes.front().insert(result.resultAxes.front().begin(), {0, 1});
  if (!elements.expand(elements.read(init->get(), indices))->isNumber(0))
    return miss(root, "something is added to the product of weights and "
                      "values");
  return success();
}

//===----------------------------------------------------------------------===//
// Query, key and value
//===----------------------------------------------------------------------===//

LogicalResult Matcher::matchSides(const Expression *product) {
  const Expression *body = product->operands[0];
  const Expression *init = elements.expandAll(product->operands[1]);
  if (product->variables.size() != 1 || !body->is(Opcode::Mul) ||
      !body->operands[0]->isRead() || !body->operands[1]->isRead() || !init ||
      !init->isNumber(0))
    return miss(product->origin,
                "the scores are not a plain sum of products of query and key "
                "over one dimension");
  AffineExpr contracted = product->variables[0];
  int64_t numChannels = space.getBounds(contracted).second + 1;
  if (numRows != numKeys)
    return miss(product->origin,
                llvm::formatv("{0} queries attend to {1} keys, expected the "
                              "same number: keys of another sequence have no "
                              "position among the queries",
                              numRows, numKeys)
                    .str());

  ScoreSide query, keys;
  query.name = "query";
  query.element = body->operands[0];
  keys.name = "key";
  keys.element = body->operands[1];
  if (elements.dependsOn(query.element, key))
    std::swap(query.element, keys.element);
  if (elements.dependsOn(query.element, key) ||
      elements.dependsOn(keys.element, row))
    return miss(product->origin, "the scores are not a product of a query, "
                                 "which does not depend on the key, and a key");
  query.product = keys.product = product->origin;
  query.batch = keys.batch = item;
  query.head = head;
  query.slot = row;
  keys.slot = key;
  query.numItems = keys.numItems = numItems;
  query.numHeads = numHeads;
  query.numSlots = numRows;
  keys.numSlots = numKeys;

  // The value tells how many KV heads there are.
  ScoreSide valueSide = keys;
  valueSide.name = "value";
  FailureOr<AttentionOperand> value = failure();
  for (int64_t kvHeads = 1; kvHeads <= numHeads && failed(value); ++kvHeads) {
    if (numHeads % kvHeads != 0)
      continue;
    valueSide.numHeads = kvHeads;
    valueSide.head = space.simplify(head.floorDiv(numHeads / kvHeads));
    if (values->isRead())
      value = findOperand(valueSide, values->views, channel, numValueChannels);
  }
  if (failed(value))
    return miss(result.root,
                "the values of query head h are not KV head h floordiv (query "
                "heads / KV heads) of a tensor with axes for item, head, slot "
                "and channel");
  result.value = *value;
  result.numKVHeads = valueSide.numHeads;
  keys.head = valueSide.head;
  keys.numHeads = valueSide.numHeads;

  FailureOr<RotationMatch> queryRotation =
      matchRotation(query, contracted, numChannels);
  if (failed(queryRotation))
    return failure();
  FailureOr<RotationMatch> keyRotation =
      matchRotation(keys, contracted, numChannels);
  if (failed(keyRotation))
    return failure();
  for (auto [pair, frequencies] : llvm::enumerate(llvm::zip_equal(
           queryRotation->frequencies, keyRotation->frequencies))) {
    auto [first, second] = frequencies;
    if (first != second)
      return miss(
          keyRotation->angle,
          "query and key are rotated with different frequencies: that of "
          "pair " +
              Twine(pair) + " is " + formatNumber(first) +
              " for the query and " + formatNumber(second) + " for the key");
  }
  std::string reason;
  FailureOr<double> theta = findTheta(queryRotation->frequencies, reason);
  if (failed(theta))
    return miss(queryRotation->angle, reason);
  result.query = queryRotation->operand;
  result.key = keyRotation->operand;
  result.theta = *theta;
  result.scale *= queryRotation->factor * keyRotation->factor;
  result.outputShape = {numItems, numHeads, numRows, numValueChannels};
  return success();
}

/// What is replaced must have no other use: keeping it for one would mean to
/// compute the scores twice.
LogicalResult Matcher::checkUses(Operation *softmaxSum) {
  for (Operation *op : owned) {
    for (Operation *user : op->getUsers()) {
      if (owned.contains(user) || user == result.root || user == softmaxSum)
        continue;
      return miss(user, "the scores or weights of the attention have another "
                        "use here");
    }
  }
  return success();
}

AttentionResult Matcher::match(Operation *softmaxSum) {
  unsigned weightsOperand = 0;
  const Expression *scores = nullptr, *product = nullptr;
  if (failed(findRoot(softmaxSum, weightsOperand)) ||
      failed(bindLoops(weightsOperand)) ||
      failed(matchSoftmax(weights, scores)) ||
      failed(matchScores(scores, product)) || failed(matchSides(product)) ||
      failed(checkUses(softmaxSum)))
    return firstMiss;
  return result;
}

AttentionResult matchAttention(Operation *softmaxSum) {
  return Matcher(softmaxSum->getContext()).match(softmaxSum);
}

} // namespace ropewalk

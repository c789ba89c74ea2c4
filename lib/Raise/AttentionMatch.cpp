//===- AttentionMatch.cpp - Rotary attention in a graph --------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The parts put together: from a sum of exponentials forward to the product
// with the values (RootMatch.cpp), and from one element of that product
// backward through softmax and scores (ScoreMatch.cpp) to query, key and value.
//
//===----------------------------------------------------------------------===//

#include "Matcher.h"

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
// Query, key and value
//===----------------------------------------------------------------------===//

LogicalResult Matcher::matchSides(const Expression *product) {
  const Expression *body = product->operands[0];
  const Expression *init = elements.expandAll(product->operands[1]);
  if (product->variables.size() != 1 || !body->is(Opcode::Mul) || !init ||
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
      for (const Element &view : values->views)
        if (failed(value))
          value = findOperand(valueSide, view, channel, numValueChannels);
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
  const Expression *scores = nullptr, *product = nullptr;
  if (failed(findRoot(softmaxSum)) || failed(bindLoops(softmaxSum)) ||
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

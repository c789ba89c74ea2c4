//===- ScoreMatch.cpp - Softmax, scale and mask ----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// From an element of the weights, w[i, j], back to the product of query and
// key:
//     w = exp(s - max s) / sum exp(s - max s),  over all keys,
//     s = constants * <q, k> + mask,
// where the mask is 0 if j <= i and so low otherwise that the exponential is 0.
//
//===----------------------------------------------------------------------===//

#include "Matcher.h"

#include <limits>

using namespace mlir;

namespace ropewalk {

using Kind = Expression::Kind;
using Opcode = Expression::Opcode;

/// A mask value counts as minus infinity up to here: no score reaches the
/// magnitude that would make up for it.
static constexpr double kMasked = -1e30;

LogicalResult Matcher::matchSoftmax(const Expression *weights,
                                    const Expression *&scores) {
  const Expression *quotient = expandOwned(weights);
  const Expression *numerator = nullptr, *denominator = nullptr;
  if (quotient->is(Opcode::Div)) {
    numerator = quotient->operands[0];
    denominator = quotient->operands[1];
  } else if (quotient->is(Opcode::Mul)) {
    for (unsigned side : {0u, 1u}) {
      const Expression *reciprocal = elements.expand(quotient->operands[side]);
      if (!reciprocal->is(Opcode::Div) || !reciprocal->operands[0]->isNumber(1))
        continue;
      own(quotient->operands[side]);
      numerator = quotient->operands[1 - side];
      denominator = reciprocal->operands[1];
    }
  }
  if (!numerator)
    return miss(quotient->origin,
                "the factor of the values is not exp(x) / sum of exp(x) but " +
                    describe(quotient));
  const Expression *exponential = expandOwned(numerator);
  const Expression *sum = expandOwned(denominator);
  if (!exponential->is(Opcode::Exp) || sum->kind != Kind::Reduction ||
      sum->opcode != Opcode::Add)
    return miss(quotient->origin,
                "the factor of the values is not exp(x) / sum of exp(x) but " +
                    describe(exponential) + " divided by " + describe(sum));
  const Expression *difference = expandOwned(exponential->operands[0]);
  if (!difference->is(Opcode::Sub))
    return miss(exponential->origin,
                "the maximum of the scores is not subtracted before the "
                "exponential, which is taken of " +
                    describe(difference));
  scores = difference->operands[0];
  const Expression *maximum = expandOwned(difference->operands[1]);
  if (maximum->kind != Kind::Reduction || maximum->opcode != Opcode::Max)
    return miss(difference->origin,
                "what is subtracted before the exponential is not a maximum "
                "of the scores but " +
                    describe(maximum));

  // Both reductions run over all keys of the same row.
  auto isOverKeys = [&](const Expression *reduction,
                        const Expression *reduced) -> LogicalResult {
    StringRef name = reduction->opcode == Opcode::Add
                         ? "sum of the exponentials"
                         : "maximum of the scores";
    const Expression *body = reduction->operands[0];
    own(body);
    if (reduction->variables.size() > 1)
      return miss(reduction->origin,
                  "the " + name + " is taken over several dimensions");
    if (reduction->variables.empty())
      return success(elements.areEqual(body, reduced) && numKeys == 1);
    AffineExpr variable = reduction->variables[0];
    if (elements.areEqual(elements.substitute(body, variable, key), reduced) &&
        space.getBounds(variable).second == numKeys - 1)
      return success();
    if (elements.areEqual(elements.substitute(body, variable, row), reduced))
      return miss(reduction->origin,
                  "the " + name +
                      " is taken over the queries, expected over "
                      "the keys");
    return miss(reduction->origin, "the " + name +
                                       " is taken of another value than the "
                                       "one it is used with");
  };
  if (failed(isOverKeys(maximum, scores)) || failed(isOverKeys(sum, numerator)))
    return miss(quotient->origin, "the softmax is not taken over the keys");
  const Expression *init = elements.expandAll(maximum->operands[1]);
  if (!init || init->kind != Kind::Number ||
      !(init->number <= -double(std::numeric_limits<float>::max())))
    return miss(maximum->origin,
                "the maximum of the scores starts at " +
                    (init ? describe(init) : std::string("a long expression")) +
                    ", expected minus infinity or the lowest finite number");
  init = elements.expandAll(sum->operands[1]);
  if (!init || !init->isNumber(0))
    return miss(sum->origin, "the sum of the exponentials does not start at 0");
  return success();
}

/// True if a contraction is among what `expression` is computed from.
static bool reachesProduct(Elements &elements, const Expression *expression,
                           unsigned depth = 32) {
  if (depth == 0)
    return false;
  const Expression *part = elements.expand(expression);
  if (part->kind == Kind::Reduction)
    return part->opcode == Opcode::Add;
  return llvm::any_of(part->operands, [&](const Expression *operand) {
    return reachesProduct(elements, operand, depth - 1);
  });
}

LogicalResult Matcher::matchScores(const Expression *scores,
                                   const Expression *&product) {
  std::optional<double> found;
  while (true) {
    const Expression *part = expandOwned(scores);
    if (part->kind == Kind::Reduction && part->opcode == Opcode::Add) {
      product = part;
      break;
    }
    if (part->is(Opcode::Neg)) {
      result.scale = -result.scale;
      scores = part->operands[0];
      continue;
    }
    if (part->is(Opcode::Mul) || part->is(Opcode::Div)) {
      unsigned number =
          part->operands[0]->kind == Kind::Number && part->is(Opcode::Mul) ? 0
                                                                           : 1;
      if (part->operands[number]->kind != Kind::Number)
        return miss(part->origin,
                    "the scores are scaled by " +
                        describe(elements.expand(part->operands[1])) +
                        ", expected a constant");
      double factor = part->operands[number]->number;
      if (part->is(Opcode::Div))
        factor = 1 / factor;
      // Two scales on the scores are one too many far more often than they are
      // meant; a scale that is split goes to query and key.
      if (factor != 1 && found)
        return miss(part->origin, "the scores are scaled twice, by " +
                                      formatNumber(factor) + " and then by " +
                                      formatNumber(*found) +
                                      ", expected one scale");
      if (factor != 1)
        found = factor;
      result.scale *= factor;
      scores = part->operands[1 - number];
      continue;
    }
    if (part->is(Opcode::Add)) {
      bool first = reachesProduct(elements, part->operands[0]);
      bool second = reachesProduct(elements, part->operands[1]);
      if (first == second)
        return miss(part->origin,
                    first ? "the scores are a sum of two products"
                          : "the scores are a sum without a product of query "
                            "and key");
      if (failed(matchMask(part->operands[first ? 1 : 0], part->origin)))
        return failure();
      scores = part->operands[first ? 0 : 1];
      continue;
    }
    if (part->is(Opcode::Select)) {
      bool first = reachesProduct(elements, part->operands[1]);
      const Expression *low = elements.expand(part->operands[first ? 2 : 1]);
      if (low->kind != Kind::Number || !(low->number * result.scale <= kMasked))
        return miss(part->origin, "masked scores become " + describe(low) +
                                      ", expected a constant of at most -1e30");
      const Expression *condition = elements.expandAll(part->operands[0]);
      if (!condition)
        return miss(part->origin,
                    "the condition of the mask is too long an expression");
      if (!first)
        condition =
            elements.makeOperation(Opcode::Not, {condition}, part->origin);
      if (failed(matchCondition(condition, part->origin)))
        return failure();
      scores = part->operands[first ? 1 : 2];
      continue;
    }
    return miss(part->origin,
                "between the product of query and key and the "
                "softmax stands " +
                    describe(part) +
                    ", expected only constant factors and a mask");
  }
  if (!isCausal)
    return miss(product->origin,
                "the attention is not causal: no mask stands between the "
                "product of query and key and the softmax");
  return success();
}

/// `mask` is what `op` adds to the scores.
LogicalResult Matcher::matchMask(const Expression *mask, Operation *op) {
  const Expression *part = mask;
  while (true) {
    part = elements.expand(part);
    if (!part->is(Opcode::Select))
      break;
    const Expression *kept = elements.expandAll(part->operands[1]);
    const Expression *dropped = elements.expandAll(part->operands[2]);
    const Expression *condition = elements.expandAll(part->operands[0]);
    if (!kept || !dropped || !condition)
      return miss(part->origin, "the mask is too long an expression");
    Operation *origin = part->origin ? part->origin : op;
    if (!kept->isNumber(0)) {
      std::swap(kept, dropped);
      condition = elements.makeOperation(Opcode::Not, {condition}, origin);
    }
    if (!kept->isNumber(0) || dropped->kind != Kind::Number)
      return miss(origin, "the mask is " + describe(kept) + " or " +
                              describe(dropped) +
                              ", expected 0 or a low constant");
    // Factors that come after the mask apply to it too.
    if (!(dropped->number * result.scale <= kMasked))
      return miss(origin,
                  "masked keys get " +
                      formatNumber(dropped->number * result.scale) +
                      ", expected at most -1e30, which no score makes up for");
    return matchCondition(condition, origin);
  }
  if (part->isNumber(0))
    return miss(op, "the attention is not causal: its mask keeps every key");
  return miss(part->origin ? part->origin : op,
              "the mask is not proved to be causal: it is " + describe(part) +
                  ", expected a selection by row and column");
}

/// `condition` is true where a key is attended to.
LogicalResult Matcher::matchCondition(const Expression *condition,
                                      Operation *op) {
  condition = elements.expandAll(condition);
  if (!condition)
    return miss(op, "the condition of the mask is too long an expression");
  if (condition->kind == Kind::Integer)
    return miss(op, condition->integer
                        ? "the attention is not causal: its mask keeps every "
                          "key"
                        : "the mask drops every key");
  if (condition->is(Opcode::And))
    return miss(op, "the mask drops more keys than a causal one: its condition "
                    "is " +
                        describe(condition->operands[0]) + " and " +
                        describe(condition->operands[1]));
  if (!condition->is(Opcode::NonNegative))
    return miss(op, "the mask is not proved to be causal: its condition is " +
                        describe(condition));
  AffineExpr kept = condition->operands[0]->index;
  if (kept != space.simplify(row - key))
    return miss(op, "the mask is not causal: it keeps key j of query i where " +
                        space.print(kept) + " >= 0, expected " +
                        space.print(space.simplify(row - key)) + " >= 0");
  isCausal = true;
  return success();
}

} // namespace ropewalk

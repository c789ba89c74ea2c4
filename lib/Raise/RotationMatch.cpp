//===- RotationMatch.cpp - Rotations of query and key ----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A rotated tensor is asked for its channels c and c + D/2, with c < D/2. Every
// way to write the rotation (halves swapped by slices and a concatenation, with
// the negation on either; two products on halves; insertion of slices) is then
//     y[c]       = x[c] cos(a)       - x[c + D/2] sin(a)
//     y[c + D/2] = x[c + D/2] cos(a) + x[c] sin(a)
// up to a common factor, and what differs from that is a miss. The angle a must
// be the slot times a constant of the pair.
//
//===----------------------------------------------------------------------===//

#include "Matcher.h"

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace mlir;

namespace ropewalk {

using Kind = Expression::Kind;
using Opcode = Expression::Opcode;

/// A product factor * x * cos(angle), or with sin.
struct Matcher::Term {
  const Expression *product;
  double factor = 1;
  const Expression *trigonometric = nullptr;
  const Expression *data = nullptr;
  Operation *origin = nullptr;
};

/// {x, c} if `expression` is c * x or x / (1 / c) for a constant c; else null.
static std::pair<const Expression *, double>
takeFactor(const Expression *expression) {
  ArrayRef<const Expression *> operands = expression->operands;
  if (expression->is(Opcode::Mul))
    for (unsigned side : {0u, 1u})
      if (operands[side]->kind == Kind::Number)
        return {operands[1 - side], operands[side]->number};
  if (expression->is(Opcode::Div) && operands[1]->kind == Kind::Number)
    return {operands[0], 1 / operands[1]->number};
  return {nullptr, 0};
}

/// The cosine or sine that `expression` is, up to a constant; null if it is
/// none.
const Expression *Matcher::findTrigonometric(const Expression *expression,
                                             double &factor) {
  const Expression *part = elements.expand(expression);
  if (part->is(Opcode::Cos) || part->is(Opcode::Sin))
    return part;
  if (part->is(Opcode::Neg)) {
    factor = -factor;
    return findTrigonometric(part->operands[0], factor);
  }
  if (auto [factored, constant] = takeFactor(part); factored) {
    factor *= constant;
    return findTrigonometric(factored, factor);
  }
  return nullptr;
}

LogicalResult Matcher::collectTerms(const ScoreSide &side,
                                    const Expression *sum,
                                    SmallVectorImpl<Term> &terms) {
  auto visit = [&](auto &self, const Expression *part, double factor) -> void {
    part = elements.expand(part);
    if (part->is(Opcode::Add) || part->is(Opcode::Sub)) {
      self(self, part->operands[0], factor);
      self(self, part->operands[1], part->is(Opcode::Sub) ? -factor : factor);
    } else if (part->is(Opcode::Neg)) {
      self(self, part->operands[0], -factor);
    } else if (auto [factored, constant] = takeFactor(part); factored) {
      self(self, factored, factor * constant);
    } else {
      terms.push_back({part, factor});
    }
  };
  visit(visit, sum, 1);
  if (terms.size() == 2)
    return success();
  const Expression *expanded = elements.expand(sum);
  return miss(expanded->origin ? expanded->origin : side.product,
              "the " + side.name +
                  " is not rotated: expected a product with cos plus a product "
                  "with sin, found " +
                  (terms.size() == 1
                       ? describe(expanded)
                       : "a sum of " + std::to_string(terms.size())));
}

LogicalResult Matcher::matchTerm(const ScoreSide &side, Term &term) {
  const Expression *part = term.product;
  term.origin = part->origin;
  if (part->is(Opcode::Mul)) {
    for (unsigned number : {0u, 1u}) {
      double factor = 1;
      term.trigonometric = findTrigonometric(part->operands[number], factor);
      if (!term.trigonometric)
        continue;
      term.factor *= factor;
      term.data = part->operands[1 - number];
      break;
    }
  }
  if (!term.trigonometric)
    return miss(term.origin, "the " + side.name +
                                 " is not rotated: expected a product with cos "
                                 "or sin, found " +
                                 describe(term.product));
  while (true) {
    const Expression *data = elements.expand(term.data);
    if (data->is(Opcode::Neg)) {
      term.factor = -term.factor;
      term.data = data->operands[0];
    } else if (auto [factored, constant] = takeFactor(data); factored) {
      term.factor *= constant;
      term.data = factored;
    } else {
      break;
    }
  }
  if (!term.data->isRead())
    return miss(term.origin, "the un-rotated " + side.name +
                                 " is no tensor of the graph: it is " +
                                 describe(term.data) +
                                 " inside of this operation");
  return success();
}

LogicalResult Matcher::matchAngle(const ScoreSide &side,
                                  const Expression *expression, AffineExpr pair,
                                  int64_t numPairs,
                                  SmallVectorImpl<double> &frequencies) {
  frequencies.assign(numPairs, 1);
  Operation *origin = elements.expand(expression)->origin;
  AffineExpr position;
  SmallVector<const Expression *> pending = {expression};
  while (!pending.empty()) {
    const Expression *factor = elements.expand(pending.pop_back_val());
    Operation *at = factor->origin ? factor->origin : origin;
    if (factor->is(Opcode::Mul)) {
      llvm::append_range(pending, factor->operands);
      continue;
    }
    if (factor->kind == Kind::Number) {
      for (double &frequency : frequencies)
        frequency *= factor->number;
      continue;
    }
    if (factor->is(Opcode::ToFloat)) {
      const Expression *integer = elements.expandAll(factor->operands[0]);
      if (!integer || integer->kind != Kind::Index)
        return miss(at, "the positions of the " + side.name +
                            " are not proved to be 0, 1, 2, ...: they come "
                            "from " +
                            (integer ? describe(integer) : "too long a sum"));
      if (position || integer->index != side.slot)
        return miss(at, "the position of the " + side.name + " in slot " +
                            space.print(side.slot) + " is " +
                            space.print(integer->index) + ", expected " +
                            space.print(side.slot));
      position = integer->index;
      continue;
    }
    if (!factor->isRead())
      return miss(at, "the rotary angle is computed from " + describe(factor) +
                          ", expected a position times an inverse frequency");
    std::string reason;
    FailureOr<SmallVector<double>> values =
        readConstant(space, factor->getElement(), pair, numPairs, reason);
    if (failed(values))
      return miss(at, "the inverse frequencies cannot be read: " + reason);
    for (auto [frequency, value] : llvm::zip_equal(frequencies, *values))
      frequency *= value;
  }
  if (!position && side.numSlots != 1)
    return miss(origin, "the rotary angle of the " + side.name +
                            " does not depend on its position");
  return success();
}

FailureOr<RotationMatch> Matcher::matchRotation(const ScoreSide &side,
                                                AffineExpr channel,
                                                int64_t numChannels) {
  Operation *origin = elements.expand(side.element)->origin;
  if (numChannels % 2 != 0)
    return miss(origin, llvm::formatv("the head dimension is {0}, expected an "
                                      "even number",
                                      numChannels)
                            .str());
  int64_t numPairs = numChannels / 2;
  AffineExpr pair = space.addVariable(numPairs, "c");
  AffineExpr channels[] = {pair, space.simplify(pair + numPairs)};

  // cosine[h] and sine[h] make up channel channels[h] of the rotated tensor.
  Term cosine[2], sine[2];
  for (unsigned half : {0u, 1u}) {
    SmallVector<Term> terms;
    if (failed(collectTerms(
            side, elements.substitute(side.element, channel, channels[half]),
            terms)))
      return failure();
    for (Term &term : terms) {
      if (failed(matchTerm(side, term)))
        return failure();
      (term.trigonometric->is(Opcode::Cos) ? cosine : sine)[half] = term;
    }
    if (!cosine[half].data || !sine[half].data)
      return miss(terms.front().origin,
                  "the " + side.name +
                      " is not rotated: both products are "
                      "with " +
                      (cosine[half].data ? "cos" : "sin"));
  }

  // The tensor that all four products read, and where.
  RotationMatch rotation;
  auto findView = [](const Term &term, Value tensor) -> const Element * {
    for (const Element &view : term.data->views)
      if (view.tensor == tensor)
        return &view;
    return nullptr;
  };
  const Term *others[] = {&sine[0], &cosine[1], &sine[1]};
  FailureOr<AttentionOperand> operand = failure();
  for (const Element &view : cosine[0].data->views) {
    FailureOr<AttentionOperand> candidate =
        findOperand(side, view, channels[0], numChannels);
    if (failed(candidate))
      continue;
    operand = candidate;
    if (llvm::all_of(others, [&](const Term *term) {
          return findView(*term, view.tensor);
        }))
      break;
  }
  if (failed(operand)) {
    std::string indices = llvm::join(
        llvm::map_range(cosine[0].data->getElement().indices,
                        [&](AffineExpr index) { return space.print(index); }),
        ", ");
    return miss(cosine[0].origin,
                "the un-rotated " + side.name + " of item " +
                    space.print(side.batch) + ", query head " +
                    space.print(head) + " (head " + space.print(side.head) +
                    " of " + std::to_string(side.numHeads) + "), slot " +
                    space.print(side.slot) + ", channel " +
                    space.print(channels[0]) + " is read at [" + indices +
                    "], in which no tensor with axes for item, head, slot and "
                    "channel was recognised");
  }
  rotation.operand = *operand;
  const Element &first = *findView(cosine[0], operand->tensor);
  int64_t channelAxis = operand->permutation[3];
  const std::pair<Term *, AffineExpr> expected[] = {{&sine[0], channels[1]},
                                                    {&cosine[1], channels[1]},
                                                    {&sine[1], channels[0]}};
  for (auto [term, wanted] : expected) {
    const Element *view = findView(*term, operand->tensor);
    if (!view)
      return miss(term->origin, "the products with cos and with sin of the " +
                                    side.name + " read different tensors");
    for (auto [axis, index] : llvm::enumerate(view->indices)) {
      AffineExpr right =
          int64_t(axis) == channelAxis ? wanted : first.indices[axis];
      if (index != right)
        return miss(term->origin, "the rotation of the " + side.name +
                                      " reads index " + space.print(index) +
                                      " of axis " + std::to_string(axis) +
                                      ", expected " + space.print(right) +
                                      ": its halves are not swapped");
    }
  }

  rotation.factor = cosine[0].factor;
  bool hasSigns = cosine[1].factor == rotation.factor &&
                  sine[1].factor == rotation.factor &&
                  sine[0].factor == -rotation.factor;
  if (!hasSigns) {
    auto sign = [&](const Term &term) {
      double ratio = term.factor / rotation.factor;
      return ratio == 1    ? std::string("+")
             : ratio == -1 ? std::string("-")
                           : formatNumber(ratio) + " *";
    };
    return miss(sine[0].origin,
                "the " + side.name + " is rotated with the factors cos " +
                    sign(sine[0]) + " sin in the first half and " +
                    sign(cosine[1]) + " cos " + sign(sine[1]) +
                    " sin in the second, expected cos - sin and + cos + sin");
  }

  // One angle for both halves and for cos and sin.
  const Term *terms[] = {&cosine[0], &sine[0], &cosine[1], &sine[1]};
  for (const Term *term : terms) {
    const Expression *angle = term->trigonometric->operands[0];
    SmallVector<double> frequencies;
    if (failed(matchAngle(side, angle, pair, numPairs, frequencies)))
      return failure();
    if (term == terms[0]) {
      rotation.frequencies = frequencies;
      rotation.angle = elements.expand(angle)->origin;
    } else if (frequencies != rotation.frequencies) {
      return miss(elements.expand(angle)->origin,
                  "cos and sin of the " + side.name +
                      " have different frequencies, or the two halves have");
    }
  }
  return rotation;
}

} // namespace ropewalk

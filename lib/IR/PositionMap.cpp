//===- PositionMap.cpp - Arithmetic on position maps -------- -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Evaluation of the affine maps of segments in checked 64-bit arithmetic, and
// the proof that an expression does not decrease.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/IR/PositionMap.h"
#include "Ropewalk/IR/Rope.h"

#include "mlir/IR/AffineExpr.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace ropewalk::rope;

//===----------------------------------------------------------------------===//
// Evaluation
//===----------------------------------------------------------------------===//

static std::optional<int64_t> evaluateExpr(AffineExpr expr, int64_t dimension,
                                           ArrayRef<int64_t> parameters) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue();
  if (isa<AffineDimExpr>(expr))
    return dimension;
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr)) {
    if (symbol.getPosition() >= parameters.size())
      return std::nullopt;
    return parameters[symbol.getPosition()];
  }
  auto binary = cast<AffineBinaryOpExpr>(expr);
  auto lhs = evaluateExpr(binary.getLHS(), dimension, parameters);
  auto rhs = evaluateExpr(binary.getRHS(), dimension, parameters);
  if (!lhs || !rhs)
    return std::nullopt;
  int64_t result;
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return llvm::AddOverflow(*lhs, *rhs, result) ? std::nullopt
                                                 : std::optional(result);
  case AffineExprKind::Mul:
    return llvm::MulOverflow(*lhs, *rhs, result) ? std::nullopt
                                                 : std::optional(result);
  case AffineExprKind::FloorDiv:
    return *rhs <= 0 ? std::nullopt
                     : std::optional(llvm::divideFloorSigned(*lhs, *rhs));
  case AffineExprKind::CeilDiv:
    return *rhs <= 0 ? std::nullopt
                     : std::optional(llvm::divideCeilSigned(*lhs, *rhs));
  case AffineExprKind::Mod:
    return *rhs <= 0 ? std::nullopt : std::optional(llvm::mod(*lhs, *rhs));
  default:
    return std::nullopt;
  }
}

std::optional<int64_t> ropewalk::rope::evaluate(AffineMap map,
                                                int64_t dimension,
                                                ArrayRef<int64_t> parameters) {
  std::optional<int64_t> minimum;
  for (AffineExpr expr : map.getResults()) {
    auto value = evaluateExpr(expr, dimension, parameters);
    if (!value)
      return std::nullopt;
    minimum = minimum ? std::min(*minimum, *value) : *value;
  }
  return minimum;
}

//===----------------------------------------------------------------------===//
// Monotonicity
//===----------------------------------------------------------------------===//

namespace {
/// What is known of an expression as a function of dimension 0.
enum class Trend { constant, nonDecreasing, nonIncreasing, unknown };
} // namespace

static Trend negate(Trend trend) {
  if (trend == Trend::nonDecreasing)
    return Trend::nonIncreasing;
  if (trend == Trend::nonIncreasing)
    return Trend::nonDecreasing;
  return trend;
}

/// A lower bound that holds for every allowed parameter; nullopt if none is
/// known. Only expressions without the dimension have one.
static std::optional<int64_t> lowerBound(AffineExpr expr,
                                         ArrayRef<int64_t> minimums) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue();
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return symbol.getPosition() < minimums.size()
               ? std::optional(minimums[symbol.getPosition()])
               : std::nullopt;
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return std::nullopt;
  auto lhs = lowerBound(binary.getLHS(), minimums);
  auto rhs = lowerBound(binary.getRHS(), minimums);
  if (!lhs || !rhs)
    return std::nullopt;
  int64_t result;
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return llvm::AddOverflow(*lhs, *rhs, result) ? std::nullopt
                                                 : std::optional(result);
  case AffineExprKind::Mul:
    if (*lhs < 0 || *rhs < 0 || llvm::MulOverflow(*lhs, *rhs, result))
      return std::nullopt;
    return result;
  default:
    return std::nullopt;
  }
}

static Trend trendOf(AffineExpr expr, ArrayRef<int64_t> minimums,
                     std::string &reason) {
  if (isa<AffineConstantExpr, AffineSymbolExpr>(expr))
    return Trend::constant;
  if (isa<AffineDimExpr>(expr))
    return Trend::nonDecreasing;
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Trend lhs = trendOf(binary.getLHS(), minimums, reason);
  Trend rhs = trendOf(binary.getRHS(), minimums, reason);
  if (lhs == Trend::unknown || rhs == Trend::unknown)
    return Trend::unknown;
  if (lhs == Trend::constant && rhs == Trend::constant)
    return Trend::constant;
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    if (lhs == Trend::constant || lhs == rhs)
      return rhs;
    if (rhs == Trend::constant)
      return lhs;
    reason = "it adds a part that grows with i and a part that falls with i";
    return Trend::unknown;
  case AffineExprKind::Mul: {
    AffineExpr other =
        rhs == Trend::constant ? binary.getRHS() : binary.getLHS();
    Trend moving = rhs == Trend::constant ? lhs : rhs;
    if (lhs != Trend::constant && rhs != Trend::constant) {
      reason = "it multiplies two parts that depend on i";
      return Trend::unknown;
    }
    if (auto constant = dyn_cast<AffineConstantExpr>(other))
      return constant.getValue() >= 0 ? moving : negate(moving);
    if (auto bound = lowerBound(other, minimums); bound && *bound >= 0)
      return moving;
    reason = "it multiplies i by a factor of unknown sign";
    return Trend::unknown;
  }
  case AffineExprKind::FloorDiv:
  case AffineExprKind::CeilDiv:
    if (rhs != Trend::constant) {
      reason = "it divides by a part that depends on i";
      return Trend::unknown;
    }
    if (auto bound = lowerBound(binary.getRHS(), minimums);
        bound && *bound >= 1)
      return lhs;
    reason = "it divides by something that may not be positive";
    return Trend::unknown;
  default:
    reason = "it takes i modulo something";
    return Trend::unknown;
  }
}

bool ropewalk::rope::isNonDecreasing(AffineExpr expr,
                                     ArrayRef<int64_t> minimums,
                                     std::string &reason) {
  reason.clear();
  Trend trend = trendOf(expr, minimums, reason);
  if (trend == Trend::nonIncreasing)
    reason = "it falls when i grows";
  return trend == Trend::constant || trend == Trend::nonDecreasing;
}

//===----------------------------------------------------------------------===//
// Properties of maps
//===----------------------------------------------------------------------===//

bool ropewalk::rope::movesPositions(PositionMapAttrInterface map) {
  auto isPlain = [](AffineMap function) {
    return function.getNumResults() == 1 &&
           isa<AffineDimExpr>(function.getResult(0));
  };
  return llvm::any_of(map.getSegments(), [&](const Segment &segment) {
    return !segment.masked &&
           (!isPlain(segment.query) || !isPlain(segment.key));
  });
}

bool ropewalk::rope::isUsedByCuts(PositionMapAttrInterface map,
                                  unsigned index) {
  return llvm::any_of(map.getSegments(), [&](const Segment &segment) {
    return llvm::any_of(segment.from.getResults(), [&](AffineExpr expr) {
      return expr.isFunctionOfSymbol(index);
    });
  });
}

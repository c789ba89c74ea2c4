//===- ElementBodies.cpp - What computing operations mean ------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One element of the result of a linalg operation, named or generic, is its
// body evaluated at one point of the loops. Result indices give the parallel
// loops; a reduction gets fresh variables and must be `acc op x` with one of
// add and max. Integer arithmetic on loop indices stays affine, and a
// comparison of two indices is written as "expression >= 0" and decided where
// the ranges of the variables decide it.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Raise/Elements.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

#include <limits>

using namespace mlir;

namespace ropewalk {

using Kind = Expression::Kind;
using Opcode = Expression::Opcode;

/// The affine expression of an integer, or null.
static AffineExpr asIndex(const Expression *expression, IndexSpace &space) {
  if (expression->kind == Kind::Index)
    return expression->index;
  if (expression->kind == Kind::Integer)
    return space.getConstant(expression->integer);
  return {};
}

static double roundTo(double value, Type type) {
  auto floatType = dyn_cast<FloatType>(getElementTypeOrSelf(type));
  if (!floatType)
    return value;
  APFloat number(value);
  bool losesInfo;
  number.convert(floatType.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                 &losesInfo);
  return number.convertToDouble();
}

//===----------------------------------------------------------------------===//
// Scalar operations
//===----------------------------------------------------------------------===//

const Expression *Elements::makeOperation(Opcode opcode,
                                          ArrayRef<const Expression *> operands,
                                          Operation *origin,
                                          Operation *operation) {
  const Expression *lhs = operands.empty() ? nullptr : operands[0];
  const Expression *rhs = operands.size() < 2 ? nullptr : operands[1];
  switch (opcode) {
  case Opcode::Add:
    if (lhs->isNumber(0))
      return rhs;
    if (rhs->isNumber(0))
      return lhs;
    break;
  case Opcode::Sub:
    if (lhs->isNumber(0))
      return makeOperation(Opcode::Neg, {rhs}, origin);
    if (rhs->isNumber(0))
      return lhs;
    break;
  case Opcode::Mul:
    if (lhs->kind == Kind::Number)
      std::swap(lhs, rhs);
    if (rhs->isNumber(1))
      return lhs;
    if (rhs->isNumber(-1))
      return makeOperation(Opcode::Neg, {lhs}, origin);
    break;
  case Opcode::Div:
    if (rhs->isNumber(1))
      return lhs;
    break;
  case Opcode::Neg:
    if (lhs->is(Opcode::Neg))
      return lhs->operands[0];
    if (lhs->kind == Kind::Number)
      return makeNumber(-lhs->number);
    break;
  case Opcode::And:
  case Opcode::Or: {
    int64_t neutral = opcode == Opcode::And ? 1 : 0;
    if (lhs->kind == Kind::Integer)
      return lhs->integer == neutral ? rhs : lhs;
    if (rhs->kind == Kind::Integer)
      return rhs->integer == neutral ? lhs : rhs;
    if (areEqual(lhs, rhs, 8))
      return lhs;
    break;
  }
  case Opcode::Not:
    if (lhs->kind == Kind::Integer)
      return makeInteger(lhs->integer == 0);
    if (lhs->is(Opcode::Not))
      return lhs->operands[0];
    if (lhs->is(Opcode::NonNegative))
      return makeOperation(
          Opcode::NonNegative,
          {makeIndex(space.simplify(-lhs->operands[0]->index - 1))}, origin);
    break;
  case Opcode::NonNegative: {
    auto [least, greatest] = space.getBounds(asIndex(lhs, space));
    if (least >= 0 || greatest < 0)
      return makeInteger(least >= 0);
    break;
  }
  case Opcode::Select:
    if (lhs->kind == Kind::Integer)
      return operands[lhs->integer ? 1 : 2];
    break;
  case Opcode::ToFloat:
    if (lhs->kind == Kind::Integer)
      return makeNumber(lhs->integer);
    break;
  default:
    break;
  }
  Expression &result = allocate(Kind::Operation);
  result.opcode = opcode;
  result.operands.assign(operands.begin(), operands.end());
  result.origin = origin;
  result.operation = operation;
  return &result;
}

/// A comparison of integers; null if it is not one of two affine indices.
const Expression *Elements::compare(Operation *op,
                                    ArrayRef<const Expression *> operands,
                                    Operation *origin) {
  using Predicate = arith::CmpIPredicate;
  AffineExpr lhs = asIndex(operands[0], space);
  AffineExpr rhs = asIndex(operands[1], space);
  if (!lhs || !rhs)
    return nullptr;
  Predicate predicate = cast<arith::CmpIOp>(op).getPredicate();
  bool isUnsigned = predicate >= Predicate::ult;
  if (isUnsigned &&
      (space.getBounds(lhs).first < 0 || space.getBounds(rhs).first < 0))
    return nullptr;
  auto nonNegative = [&](AffineExpr expr) {
    return makeOperation(Opcode::NonNegative, {makeIndex(space.simplify(expr))},
                         origin);
  };
  switch (predicate) {
  case Predicate::sge:
  case Predicate::uge:
    return nonNegative(lhs - rhs);
  case Predicate::sgt:
  case Predicate::ugt:
    return nonNegative(lhs - rhs - 1);
  case Predicate::sle:
  case Predicate::ule:
    return nonNegative(rhs - lhs);
  case Predicate::slt:
  case Predicate::ult:
    return nonNegative(rhs - lhs - 1);
  case Predicate::eq:
    return makeOperation(
        Opcode::And, {nonNegative(lhs - rhs), nonNegative(rhs - lhs)}, origin);
  case Predicate::ne:
    return makeOperation(
        Opcode::Or, {nonNegative(lhs - rhs - 1), nonNegative(rhs - lhs - 1)},
        origin);
  }
  llvm_unreachable("unknown predicate");
}

/// `op` applied to scalars.
const Expression *Elements::apply(Operation *op,
                                  ArrayRef<const Expression *> operands,
                                  Operation *origin) {
  auto make = [&](Opcode opcode) {
    return makeOperation(opcode, operands, origin, op);
  };
  Type type = getElementTypeOrSelf(op->getResult(0).getType());
  bool areNumbers = llvm::all_of(operands, [](const Expression *operand) {
    return operand->kind == Kind::Number;
  });
  auto arithmetic = [&](Opcode opcode, double (*fold)(double, double)) {
    if (areNumbers)
      return makeNumber(
          roundTo(fold(operands[0]->number, operands[1]->number), type));
    return make(opcode);
  };
  auto affine = [&](auto combine) {
    AffineExpr lhs = asIndex(operands[0], space);
    AffineExpr rhs = asIndex(operands[1], space);
    AffineExpr result = lhs && rhs ? combine(lhs, rhs) : AffineExpr();
    if (!result || type.isInteger(1) || !IndexSpace::isSupported(result))
      return make(Opcode::Other);
    return makeIndex(space.simplify(result));
  };
  // Integers as wide as the value needs: widening keeps it, narrowing is
  // checked against its bounds.
  auto convert = [&]() {
    AffineExpr index = asIndex(operands[0], space);
    if (!index)
      return make(Opcode::Other);
    auto [least, greatest] = space.getBounds(index);
    unsigned width = type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
    if (width < 64 &&
        (least < llvm::minIntN(width) || greatest > llvm::maxIntN(width)))
      return make(Opcode::Other);
    return operands[0];
  };

  return llvm::TypeSwitch<Operation *, const Expression *>(op)
      .Case<arith::AddFOp>([&](auto) {
        return arithmetic(Opcode::Add,
                          [](double a, double b) { return a + b; });
      })
      .Case<arith::SubFOp>([&](auto) {
        return arithmetic(Opcode::Sub,
                          [](double a, double b) { return a - b; });
      })
      .Case<arith::MulFOp>([&](auto) {
        return arithmetic(Opcode::Mul,
                          [](double a, double b) { return a * b; });
      })
      .Case<arith::DivFOp>([&](auto) {
        return arithmetic(Opcode::Div,
                          [](double a, double b) { return a / b; });
      })
      .Case<arith::NegFOp>([&](auto) { return make(Opcode::Neg); })
      .Case<arith::MaximumFOp, arith::MaxNumFOp>(
          [&](auto) { return make(Opcode::Max); })
      .Case<math::ExpOp>([&](auto) { return make(Opcode::Exp); })
      .Case<math::CosOp>([&](auto) { return make(Opcode::Cos); })
      .Case<math::SinOp>([&](auto) { return make(Opcode::Sin); })
      .Case<arith::SelectOp>([&](auto) { return make(Opcode::Select); })
      .Case<arith::SIToFPOp>([&](auto) { return make(Opcode::ToFloat); })
      .Case<arith::ExtFOp, arith::TruncFOp>([&](auto) {
        if (areNumbers)
          return makeNumber(roundTo(operands[0]->number, type));
        return make(Opcode::Other);
      })
      .Case<arith::IndexCastOp, arith::ExtSIOp, arith::TruncIOp>([&](auto) {
        // Of i1, -1 and 1 are the same; nothing needs it.
        if (operands[0]->kind == Kind::Integer &&
            getElementTypeOrSelf(op->getOperand(0).getType()).isInteger(1))
          return make(Opcode::Other);
        return convert();
      })
      .Case<arith::AddIOp>([&](auto) {
        return affine([](AffineExpr a, AffineExpr b) { return a + b; });
      })
      .Case<arith::SubIOp>([&](auto) {
        return affine([](AffineExpr a, AffineExpr b) { return a - b; });
      })
      .Case<arith::MulIOp>([&](auto) {
        return affine([](AffineExpr a, AffineExpr b) { return a * b; });
      })
      .Case<arith::AndIOp>([&](auto) {
        return make(type.isInteger(1) ? Opcode::And : Opcode::Other);
      })
      .Case<arith::OrIOp>([&](auto) {
        return make(type.isInteger(1) ? Opcode::Or : Opcode::Other);
      })
      .Case<arith::XOrIOp>([&](auto) {
        for (unsigned side : {0u, 1u})
          if (type.isInteger(1) && operands[side]->kind == Kind::Integer)
            return operands[side]->integer
                       ? makeOperation(Opcode::Not, {operands[1 - side]},
                                       origin)
                       : operands[1 - side];
        return make(Opcode::Other);
      })
      .Case<arith::CmpIOp>([&](auto) {
        const Expression *condition = compare(op, operands, origin);
        return condition ? condition : make(Opcode::Other);
      })
      .Default([&](Operation *) { return make(Opcode::Other); });
}

/// A scalar that is computed outside of any body.
const Expression *Elements::evaluateScalar(Value value) {
  Attribute attr;
  if (matchPattern(value, m_Constant(&attr))) {
    if (auto number = dyn_cast<FloatAttr>(attr))
      return makeNumber(number.getValueAsDouble());
    if (auto integer = dyn_cast<IntegerAttr>(attr)) {
      if (integer.getType().isInteger(1))
        return makeInteger(integer.getValue().getZExtValue());
      if (integer.getValue().getBitWidth() <= 64)
        return makeInteger(integer.getValue().getSExtValue());
    }
  }
  Expression &result = allocate(Kind::Scalar);
  result.scalar = value;
  result.origin = value.getDefiningOp();
  return &result;
}

//===----------------------------------------------------------------------===//
// Operations on tensors
//===----------------------------------------------------------------------===//

FailureOr<Elements::Iteration> Elements::iterate(linalg::LinalgOp op,
                                                 unsigned result,
                                                 ArrayRef<AffineExpr> indices) {
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  Iteration iteration;
  iteration.loops.resize(ranges.size());
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(result));
  for (auto [expr, index] : llvm::zip_equal(map.getResults(), indices)) {
    if (auto loop = dyn_cast<AffineDimExpr>(expr))
      iteration.loops[loop.getPosition()] = index;
    else if (!isa<AffineConstantExpr>(expr))
      return failure();
  }
  auto types = op.getIteratorTypesArray();
  for (auto [loop, index] : llvm::enumerate(iteration.loops)) {
    if (ShapedType::isDynamic(ranges[loop]))
      return failure();
    if (index)
      continue;
    if (types[loop] == utils::IteratorType::reduction) {
      index = space.addVariable(ranges[loop], "r");
      if (ranges[loop] != 1)
        iteration.reductions.push_back(index);
    } else if (ranges[loop] == 1) {
      index = space.getConstant(0);
    } else {
      return failure();
    }
  }
  return iteration;
}

FailureOr<SmallVector<AffineExpr>>
Elements::getOperandIndices(linalg::LinalgOp op, OpOperand &operand,
                            const Iteration &iteration) {
  SmallVector<AffineExpr> indices;
  for (AffineExpr expr : op.getMatchingIndexingMap(&operand).getResults()) {
    if (!IndexSpace::isSupported(expr))
      return failure();
    indices.push_back(space.replace(expr, iteration.loops));
  }
  return indices;
}

/// A value inside the body of `op` at one point of its loops. Null if it cannot
/// be said.
const Expression *Elements::evaluateBody(Value value, linalg::LinalgOp op,
                                         const Iteration &iteration) {
  Block *body = op.getBlock();
  if (auto argument = dyn_cast<BlockArgument>(value);
      argument && argument.getOwner() == body) {
    OpOperand &operand = op->getOpOperand(argument.getArgNumber());
    if (!isa<RankedTensorType>(operand.get().getType()))
      return evaluateScalar(operand.get());
    FailureOr<SmallVector<AffineExpr>> indices =
        getOperandIndices(op, operand, iteration);
    return failed(indices) ? nullptr : read(operand.get(), *indices);
  }
  Operation *scalarOp = value.getDefiningOp();
  if (!scalarOp || scalarOp->getBlock() != body)
    return evaluateScalar(value);
  if (auto index = dyn_cast<linalg::IndexOp>(scalarOp))
    return makeIndex(iteration.loops[index.getDim()]);
  if (scalarOp->hasTrait<OpTrait::ConstantLike>())
    return evaluateScalar(value);
  if (scalarOp->getNumResults() != 1)
    return nullptr;
  SmallVector<const Expression *> operands;
  if (auto extract = dyn_cast<tensor::ExtractOp>(scalarOp)) {
    SmallVector<AffineExpr> indices;
    for (Value index : extract.getIndices()) {
      const Expression *part = evaluateBody(index, op, iteration);
      AffineExpr expr = part ? asIndex(part, space) : AffineExpr();
      if (!expr)
        return makeOperation(Opcode::Other, {}, op, scalarOp);
      indices.push_back(expr);
    }
    return read(extract.getTensor(), indices);
  }
  for (Value operand : scalarOp->getOperands()) {
    const Expression *part = evaluateBody(operand, op, iteration);
    if (!part)
      return nullptr;
    operands.push_back(part);
  }
  return apply(scalarOp, operands, op);
}

const Expression *Elements::expandLinalg(linalg::LinalgOp op, unsigned result,
                                         ArrayRef<AffineExpr> indices) {
  if (!op.hasPureTensorSemantics())
    return nullptr;
  FailureOr<Iteration> iteration = iterate(op, result, indices);
  if (failed(iteration))
    return nullptr;
  Value yielded = op.getBlock()->getTerminator()->getOperand(result);
  if (op.getNumReductionLoops() == 0)
    return evaluateBody(yielded, op, *iteration);

  BlockArgument accumulator = op.getRegionOutputArgs()[result];
  Operation *combiner = yielded.getDefiningOp();
  if (!combiner || combiner->getNumOperands() != 2 ||
      !isa<arith::AddFOp, arith::MaximumFOp, arith::MaxNumFOp>(combiner))
    return nullptr;
  unsigned side = combiner->getOperand(0) == accumulator ? 1 : 0;
  if (combiner->getOperand(1 - side) != accumulator ||
      combiner->getOperand(side) == accumulator)
    return nullptr;
  // The accumulator must have no other part in what is reduced.
  SmallVector<Value> pending = {combiner->getOperand(side)};
  while (!pending.empty()) {
    Value part = pending.pop_back_val();
    if (part == accumulator)
      return nullptr;
    Operation *definition = part.getDefiningOp();
    if (definition && definition->getBlock() == op.getBlock())
      llvm::append_range(pending, definition->getOperands());
  }
  const Expression *body =
      evaluateBody(combiner->getOperand(side), op, *iteration);
  const Expression *init = evaluateBody(accumulator, op, *iteration);
  if (!body || !init)
    return nullptr;
  bool isSum = isa<arith::AddFOp>(combiner);
  if (iteration->reductions.empty() && isSum && expand(init)->isNumber(0))
    return body;
  Expression &reduction = allocate(Kind::Reduction);
  reduction.opcode = isSum ? Opcode::Add : Opcode::Max;
  reduction.operands = {body, init};
  reduction.variables = iteration->reductions;
  reduction.origin = op;
  return &reduction;
}

/// softmax(x)[i] = exp(x[i] - max x) / sum exp(x - max x).
const Expression *Elements::expandSoftmax(linalg::SoftmaxOp op,
                                          ArrayRef<AffineExpr> indices) {
  auto type = dyn_cast<RankedTensorType>(op.getInput().getType());
  if (!type || !type.hasStaticShape() || op.getNumResults() != 1)
    return nullptr;
  unsigned axis = op.getDimension();
  auto readAt = [&](AffineExpr index) {
    SmallVector<AffineExpr> at(indices);
    at[axis] = index;
    return read(op.getInput(), at);
  };
  auto reduce = [&](Opcode opcode, AffineExpr variable, const Expression *body,
                    double init) -> const Expression * {
    Expression &reduction = allocate(Kind::Reduction);
    reduction.opcode = opcode;
    reduction.operands = {body, makeNumber(init)};
    if (!isa<AffineConstantExpr>(variable))
      reduction.variables.push_back(variable);
    reduction.origin = op;
    return &reduction;
  };
  int64_t size = type.getDimSize(axis);
  AffineExpr first = space.addVariable(size, "r");
  AffineExpr second = space.addVariable(size, "r");
  const Expression *maximum = reduce(Opcode::Max, first, readAt(first),
                                     -std::numeric_limits<double>::infinity());
  auto exponential = [&](AffineExpr index) {
    const Expression *shifted =
        makeOperation(Opcode::Sub, {readAt(index), maximum}, op);
    return makeOperation(Opcode::Exp, {shifted}, op);
  };
  const Expression *sum = reduce(Opcode::Add, second, exponential(second), 0);
  return makeOperation(Opcode::Div, {exponential(indices[axis]), sum}, op);
}

const Expression *Elements::expand(const Expression *expression) {
  while (expression->isRead()) {
    const Expression *next = expandOnce(expression);
    if (next == expression)
      break;
    expression = next;
  }
  return expression;
}

const Expression *Elements::expandOnce(const Expression *expression) {
  if (!expression->isRead())
    return expression;
  auto known = expansions.find(expression);
  if (known != expansions.end())
    return known->second;
  const Expression *result = nullptr;
  const Element &element = expression->getElement();
  Operation *op = element.tensor.getDefiningOp();
  if (auto linalgOp = dyn_cast_or_null<linalg::LinalgOp>(op)) {
    unsigned number = cast<OpResult>(element.tensor).getResultNumber();
    result = expandLinalg(linalgOp, number, element.indices);
  } else if (auto softmax = dyn_cast_or_null<linalg::SoftmaxOp>(op)) {
    result = expandSoftmax(softmax, element.indices);
  } else if (op && op->getNumResults() == 1 &&
             OpTrait::hasElementwiseMappableTraits(op)) {
    // arith and math operations on whole tensors.
    SmallVector<const Expression *> operands;
    for (Value operand : op->getOperands())
      operands.push_back(isa<RankedTensorType>(operand.getType())
                             ? read(operand, element.indices)
                             : evaluateScalar(operand));
    result = apply(op, operands, op);
  }
  if (!result)
    result = expression;
  expansions[expression] = result;
  return result;
}

} // namespace ropewalk

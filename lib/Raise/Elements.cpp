//===- Elements.cpp - Elements of tensors as expressions -------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Following an element through operations that only move elements, and what is
// done with whole expressions: substitution, comparison, full expansion. What
// computing operations mean is in ElementBodies.cpp.
//
// Reads are unique: the same element is the same object, which makes comparing
// two uses of one tensor a comparison of pointers. Concatenations and
// insertions are followed where the range of the index lies in one piece; a
// matcher gets there by asking for the pieces one at a time.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Raise/Elements.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace ropewalk {

using Kind = Expression::Kind;
using Opcode = Expression::Opcode;

Expression &Elements::allocate(Kind kind) {
  expressions.emplace_back();
  expressions.back().kind = kind;
  return expressions.back();
}

const Expression *Elements::makeNumber(double value) {
  Expression &result = allocate(Kind::Number);
  result.number = value;
  return &result;
}

const Expression *Elements::makeInteger(int64_t value) {
  Expression &result = allocate(Kind::Integer);
  result.integer = value;
  return &result;
}

const Expression *Elements::makeIndex(AffineExpr index) {
  if (auto constant = dyn_cast<AffineConstantExpr>(index))
    return makeInteger(constant.getValue());
  Expression &result = allocate(Kind::Index);
  result.index = index;
  return &result;
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

/// The piece of a tensor, or null, if `index` lies in [start, start + size) for
/// all values of the variables (1), for none (0), or it depends (-1).
static int isInside(IndexSpace &space, AffineExpr index, int64_t start,
                    int64_t size) {
  auto [least, greatest] = space.getBounds(index);
  if (least >= start && greatest < start + size)
    return 1;
  return greatest < start || least >= start + size ? 0 : -1;
}

/// Replaces `element` by the element of another tensor that it is a copy of.
/// False if there is none.
bool Elements::step(Element &element) {
  Operation *op = element.tensor.getDefiningOp();
  if (!op)
    return false;
  ArrayRef<AffineExpr> indices = element.indices;
  auto isStatic = [](Value value) {
    return cast<ShapedType>(value.getType()).hasStaticShape();
  };

  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
    if (!isStatic(expand.getResult()))
      return false;
    ArrayRef<int64_t> shape = expand.getResultType().getShape();
    SmallVector<AffineExpr> result;
    for (const ReassociationIndices &group : expand.getReassociationIndices())
      result.push_back(
          space.linearize(indices.slice(group.front(), group.size()),
                          shape.slice(group.front(), group.size())));
    // All dimensions of a tensor without a group have size 1.
    element = {expand.getSrc(), result};
    return true;
  }
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op)) {
    if (!isStatic(collapse.getSrc()))
      return false;
    ArrayRef<int64_t> shape = collapse.getSrcType().getShape();
    SmallVector<AffineExpr> result;
    if (indices.empty())
      result.assign(shape.size(), space.getConstant(0));
    for (auto [index, group] :
         llvm::zip(indices, collapse.getReassociationIndices()))
      llvm::append_range(
          result,
          space.delinearize(index, shape.slice(group.front(), group.size())));
    element = {collapse.getSrc(), result};
    return true;
  }
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    if (!isStatic(slice.getResult()))
      return false;
    llvm::SmallBitVector dropped = slice.getDroppedDims();
    SmallVector<AffineExpr> result;
    size_t next = 0;
    for (int64_t axis = 0, e = slice.getSourceType().getRank(); axis < e;
         ++axis) {
      if (slice.isDynamicOffset(axis) || slice.isDynamicStride(axis))
        return false;
      AffineExpr index =
          dropped.test(axis) ? space.getConstant(0) : indices[next++];
      result.push_back(space.simplify(index * slice.getStaticStride(axis) +
                                      slice.getStaticOffset(axis)));
    }
    element = {slice.getSource(), result};
    return true;
  }
  if (auto insert = dyn_cast<tensor::InsertSliceOp>(op)) {
    if (!isStatic(insert.getResult()) || !isStatic(insert.getSource()))
      return false;
    llvm::SmallBitVector dropped = insert.getDroppedDims();
    SmallVector<AffineExpr> result;
    bool inside = true, outside = false;
    for (int64_t axis = 0, e = indices.size(); axis < e; ++axis) {
      if (insert.isDynamicOffset(axis) || insert.isDynamicSize(axis) ||
          insert.isDynamicStride(axis) || insert.getStaticStride(axis) != 1)
        return false;
      int64_t offset = insert.getStaticOffset(axis);
      int where =
          isInside(space, indices[axis], offset, insert.getStaticSize(axis));
      inside &= where == 1;
      outside |= where == 0;
      if (!dropped.test(axis))
        result.push_back(space.simplify(indices[axis] - offset));
    }
    if (outside)
      element.tensor = insert.getDest();
    else if (inside)
      element = {insert.getSource(), result};
    return inside || outside;
  }
  if (auto concat = dyn_cast<tensor::ConcatOp>(op)) {
    int64_t axis = concat.getDim(), start = 0;
    for (Value input : concat.getInputs()) {
      int64_t size = cast<ShapedType>(input.getType()).getDimSize(axis);
      if (ShapedType::isDynamic(size))
        return false;
      int where = isInside(space, indices[axis], start, size);
      if (where == -1)
        return false;
      if (where == 1) {
        element.indices[axis] = space.simplify(indices[axis] - start);
        element.tensor = input;
        return true;
      }
      start += size;
    }
    return false;
  }
  if (auto cast = dyn_cast<tensor::CastOp>(op)) {
    if (!isa<RankedTensorType>(cast.getSource().getType()))
      return false;
    element.tensor = cast.getSource();
    return true;
  }
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  if (!linalgOp || !linalgOp.hasPureTensorSemantics())
    return false;
  unsigned number = cast<OpResult>(element.tensor).getResultNumber();
  auto argument = dyn_cast<BlockArgument>(
      linalgOp.getBlock()->getTerminator()->getOperand(number));
  if (!argument || argument.getOwner() != linalgOp.getBlock() ||
      linalgOp.getNumReductionLoops() != 0)
    return false;
  OpOperand &operand = op->getOpOperand(argument.getArgNumber());
  if (!isa<RankedTensorType>(operand.get().getType()))
    return false;
  FailureOr<Iteration> iteration = iterate(linalgOp, number, indices);
  if (failed(iteration))
    return false;
  FailureOr<SmallVector<AffineExpr>> source =
      getOperandIndices(linalgOp, operand, *iteration);
  if (failed(source))
    return false;
  element = {operand.get(), *source};
  return true;
}

/// The value of an element of a constant: a number where all elements have the
/// same, an index where they count up. Null otherwise.
const Expression *Elements::getConstant(const Element &element) {
  DenseElementsAttr attr;
  if (!matchPattern(element.tensor, m_Constant(&attr)))
    return nullptr;
  Type type = attr.getElementType();
  if (attr.isSplat()) {
    if (isa<FloatType>(type))
      return makeNumber(attr.getSplatValue<APFloat>().convertToDouble());
    if (type.isInteger(1))
      return makeInteger(attr.getSplatValue<APInt>().getZExtValue());
    if (type.isIntOrIndex())
      return makeInteger(attr.getSplatValue<APInt>().getSExtValue());
    return nullptr;
  }
  ArrayRef<int64_t> shape = attr.getType().getShape();
  if (!type.isIntOrIndex() || type.isInteger(1) ||
      llvm::count_if(shape, [](int64_t size) { return size != 1; }) != 1)
    return nullptr;
  auto values = attr.getValues<APInt>();
  int64_t first = (*values.begin()).getSExtValue();
  int64_t increment = (*(values.begin() + 1)).getSExtValue() - first;
  int64_t expected = first;
  for (const APInt &value : values) {
    if (value.getSExtValue() != expected)
      return nullptr;
    expected += increment;
  }
  AffineExpr position = space.linearize(element.indices, shape);
  return makeIndex(space.simplify(position * increment + first));
}

const Expression *Elements::read(Value tensor, ArrayRef<AffineExpr> indices) {
  SmallVector<Element> views = {{tensor, SmallVector<AffineExpr>(indices)}};
  for (Element next = views.back(); step(next);)
    views.push_back(next);
  if (const Expression *constant = getConstant(views.back()))
    return constant;
  // One object for each element, however it is reached: the views of the first
  // way are kept apart by the way's start.
  SmallVector<const Expression *> &known = reads[tensor];
  for (const Expression *candidate : known)
    if (candidate->views.front().indices == views.front().indices)
      return candidate;
  Expression &result = allocate(Kind::Read);
  result.origin = views.back().tensor.getDefiningOp();
  result.views = std::move(views);
  known.push_back(&result);
  return &result;
}

//===----------------------------------------------------------------------===//
// Whole expressions
//===----------------------------------------------------------------------===//

/// The operation of `expression` on other operands, of which more may be known.
const Expression *Elements::rebuild(const Expression *expression,
                                    ArrayRef<const Expression *> operands) {
  if (expression->opcode == Opcode::Other && !operands.empty())
    return apply(expression->operation, operands, expression->origin);
  return makeOperation(expression->opcode, operands, expression->origin,
                       expression->operation);
}

const Expression *Elements::expandAll(const Expression *expression,
                                      unsigned limit) {
  unsigned count = 0;
  auto visit = [&](auto &self, const Expression *part) -> const Expression * {
    if (++count > limit)
      return nullptr;
    part = expand(part);
    if (part->kind != Kind::Operation)
      return part;
    SmallVector<const Expression *> operands;
    bool changed = false;
    for (const Expression *operand : part->operands) {
      const Expression *expanded = self(self, operand);
      if (!expanded)
        return nullptr;
      changed |= expanded != operand;
      operands.push_back(expanded);
    }
    if (!changed)
      return part;
    return rebuild(part, operands);
  };
  return visit(visit, expression);
}

const Expression *Elements::substitute(const Expression *expression,
                                       AffineExpr variable, AffineExpr value) {
  if (!dependsOn(expression, variable))
    return expression;
  switch (expression->kind) {
  case Kind::Index:
    return makeIndex(space.substitute(expression->index, variable, value));
  case Kind::Read: {
    const Element &front = expression->views.front();
    SmallVector<AffineExpr> indices;
    for (AffineExpr index : front.indices)
      indices.push_back(space.substitute(index, variable, value));
    return read(front.tensor, indices);
  }
  case Kind::Operation:
  case Kind::Reduction: {
    SmallVector<const Expression *> operands;
    for (const Expression *operand : expression->operands)
      operands.push_back(substitute(operand, variable, value));
    if (expression->kind == Kind::Operation)
      return rebuild(expression, operands);
    Expression &result = allocate(Kind::Reduction);
    result.opcode = expression->opcode;
    result.variables = expression->variables;
    result.origin = expression->origin;
    result.operands.assign(operands.begin(), operands.end());
    return &result;
  }
  default:
    return expression;
  }
}

bool Elements::dependsOn(const Expression *expression, AffineExpr variable) {
  switch (expression->kind) {
  case Kind::Index:
    return IndexSpace::dependsOn(expression->index, variable);
  case Kind::Read:
    // The element asked for, not the one found: an index may drop out on the
    // way, but the way is what has to be made anew.
    return llvm::any_of(expression->views.front().indices,
                        [&](AffineExpr index) {
                          return IndexSpace::dependsOn(index, variable);
                        });
  default:
    return llvm::any_of(expression->operands, [&](const Expression *operand) {
      return dependsOn(operand, variable);
    });
  }
}

bool Elements::areEqual(const Expression *lhs, const Expression *rhs,
                        unsigned depth) {
  if (lhs == rhs)
    return true;
  if (depth == 0)
    return false;
  if (lhs->isRead() && rhs->isRead()) {
    const Element &left = lhs->getElement(), &right = rhs->getElement();
    if (left.tensor == right.tensor && left.indices == right.indices)
      return true;
  }
  const Expression *left = expand(lhs), *right = expand(rhs);
  if (left != lhs || right != rhs)
    return areEqual(left, right, depth - 1);
  if (lhs->kind != rhs->kind)
    return false;
  switch (lhs->kind) {
  case Kind::Number:
    return lhs->number == rhs->number;
  case Kind::Integer:
    return lhs->integer == rhs->integer;
  case Kind::Index:
    return lhs->index == rhs->index;
  case Kind::Scalar:
    return lhs->scalar == rhs->scalar;
  case Kind::Read:
    return false;
  case Kind::Operation:
  case Kind::Reduction:
    break;
  }
  if (lhs->opcode != rhs->opcode ||
      lhs->operands.size() != rhs->operands.size())
    return false;
  if (lhs->kind == Kind::Reduction) {
    if (lhs->variables.size() != rhs->variables.size())
      return false;
    const Expression *body = rhs->operands[0];
    for (auto [from, to] : llvm::zip(rhs->variables, lhs->variables)) {
      if (space.getBounds(from) != space.getBounds(to))
        return false;
      body = substitute(body, from, to);
    }
    return areEqual(lhs->operands[0], body, depth - 1) &&
           areEqual(lhs->operands[1], rhs->operands[1], depth - 1);
  }
  if (lhs->opcode == Opcode::Other) {
    // Regions are not looked into.
    if (lhs->operation->getName() != rhs->operation->getName() ||
        lhs->operation->getAttrDictionary() !=
            rhs->operation->getAttrDictionary() ||
        lhs->operation->getNumRegions() != 0)
      return false;
  }
  auto pairwise = [&](bool swapped) {
    for (size_t i = 0, e = lhs->operands.size(); i < e; ++i)
      if (!areEqual(lhs->operands[i], rhs->operands[swapped ? e - 1 - i : i],
                    depth - 1))
        return false;
    return true;
  };
  bool commutes = lhs->is(Opcode::Add) || lhs->is(Opcode::Mul) ||
                  lhs->is(Opcode::Max) || lhs->is(Opcode::And) ||
                  lhs->is(Opcode::Or);
  return pairwise(false) || (commutes && pairwise(true));
}

} // namespace ropewalk

//===- SizeAnalysis.cpp - Sizes of a graph's values as symbols --*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Shapes flow from arguments through tensor.dim, index arithmetic and
// tensor.empty to the results of destination-passing operations. The first
// dynamic size of an argument at dimension 0 is the batch, the next one of
// an input is the number of new tokens, what follows (in a bias) and the one of
// a cache is the number of slots. A parameter's
// sizes may be 1 in the place of what they index, so they are symbols of their
// own.
//
//===----------------------------------------------------------------------===//

#include "SizeAnalysis.h"

#include "Ropewalk/IR/Rope.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"

using namespace mlir;
using namespace ropewalk;
using namespace ropewalk::codegen;

SizeExpr codegen::product(ArrayRef<SizeExpr> sizes) {
  SizeExpr result = 1;
  for (const SizeExpr &size : sizes)
    result = result * size;
  return result;
}

Shape codegen::denseStrides(ArrayRef<SizeExpr> sizes) {
  Shape strides(sizes.size(), SizeExpr(1));
  for (int dim = static_cast<int>(sizes.size()) - 2; dim >= 0; --dim)
    strides[dim] = strides[dim + 1] * sizes[dim + 1];
  return strides;
}

LogicalResult SizeAnalysis::initialize() {
  for (BlockArgument argument : function.getArguments()) {
    unsigned number = argument.getArgNumber();
    auto kind = function.getArgAttrOfType<StringAttr>(number, rope::kKindAttr);
    Shape &shape = argumentShapes.emplace_back();
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (!type)
      continue;
    for (auto [dim, size] : llvm::enumerate(type.getShape())) {
      if (!ShapedType::isDynamic(size))
        shape.push_back(size);
      else if (kind && kind == "parameter")
        shape.push_back(
            SizeExpr::symbol(("P" + Twine(number) + "_" + Twine(dim)).str()));
      else if (kind && kind != "weight" && dim == 0)
        shape.push_back(SizeExpr::symbol(kBatchSize));
      else if (kind && kind == "input")
        shape.push_back(SizeExpr::symbol(
            llvm::is_contained(shape, SizeExpr::symbol(kTokens)) ? kCapacity
                                                                 : kTokens));
      else if (kind && kind == "cache")
        shape.push_back(SizeExpr::symbol(kCapacity));
      else
        return function.emitError()
               << "argument " << number << ": dimension " << dim
               << " is dynamic, expected a static size for an argument of kind "
                  "'"
               << (kind ? kind.getValue() : "none") << "'";
    }
  }
  return success();
}

FailureOr<SizeExpr> SizeAnalysis::size(OpFoldResult value) const {
  if (auto attribute = dyn_cast<Attribute>(value))
    return SizeExpr(cast<IntegerAttr>(attribute).getInt());
  return scalar(cast<Value>(value));
}

FailureOr<SizeExpr> SizeAnalysis::scalar(Value value) const {
  return evaluate(value, /*report=*/true);
}

bool SizeAnalysis::isSize(Value value) const {
  return succeeded(evaluate(value, /*report=*/false));
}

FailureOr<SizeExpr> SizeAnalysis::evaluate(Value value, bool report) const {
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)))
    return SizeExpr(constant.getSExtValue());
  Operation *op = value.getDefiningOp();
  if (!op) {
    if (report)
      emitError(value.getLoc())
          << "expected a value that depends on sizes only, got an argument";
    return failure();
  }
  if (auto dim = dyn_cast<tensor::DimOp>(op))
    if (std::optional<int64_t> index = dim.getConstantIndex()) {
      FailureOr<Shape> sizes = shape(dim.getSource());
      if (failed(sizes))
        return failure();
      return (*sizes)[*index];
    }
  if (isa<arith::IndexCastOp, arith::IndexCastUIOp, arith::ExtSIOp,
          arith::ExtUIOp, arith::TruncIOp>(op))
    return evaluate(op->getOperand(0), report);
  if (isa<arith::AddIOp, arith::SubIOp, arith::MulIOp>(op)) {
    FailureOr<SizeExpr> left = evaluate(op->getOperand(0), report),
                        right = evaluate(op->getOperand(1), report);
    if (failed(left) || failed(right))
      return failure();
    if (isa<arith::AddIOp>(op))
      return *left + *right;
    return isa<arith::SubIOp>(op) ? *left - *right : *left * *right;
  }
  if (report)
    op->emitOpError() << "is not supported in the arithmetic of sizes";
  return failure();
}

FailureOr<Shape> SizeAnalysis::shape(Value tensor) const {
  auto type = dyn_cast<RankedTensorType>(tensor.getType());
  if (!type) {
    emitError(tensor.getLoc())
        << "expected a ranked tensor, got " << tensor.getType();
    return failure();
  }
  if (type.hasStaticShape())
    return Shape(type.getShape().begin(), type.getShape().end());
  if (auto argument = dyn_cast<BlockArgument>(tensor)) {
    if (argument.getOwner() == &function.getBody().front())
      return argumentShapes[argument.getArgNumber()];
    emitError(tensor.getLoc()) << "has a size that is not known outside a loop";
    return failure();
  }
  Operation *op = tensor.getDefiningOp();
  auto all = [&](ArrayRef<OpFoldResult> mixed) -> FailureOr<Shape> {
    Shape sizes;
    for (OpFoldResult each : mixed) {
      FailureOr<SizeExpr> expr = size(each);
      if (failed(expr))
        return failure();
      sizes.push_back(*expr);
    }
    return sizes;
  };
  if (auto empty = dyn_cast<tensor::EmptyOp>(op))
    return all(empty.getMixedSizes());
  if (auto cast = dyn_cast<tensor::CastOp>(op))
    return shape(cast.getSource());
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return all(expand.getMixedOutputShape());
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op)) {
    FailureOr<Shape> source = shape(collapse.getSrc());
    if (failed(source))
      return failure();
    Shape sizes;
    for (ArrayRef<int64_t> group : collapse.getReassociationIndices()) {
      SizeExpr size = 1;
      for (int64_t dim : group)
        size = size * (*source)[dim];
      sizes.push_back(size);
    }
    return sizes;
  }
  if (auto destination = dyn_cast<DestinationStyleOpInterface>(op))
    return shape(destination.getTiedOpOperand(cast<OpResult>(tensor))->get());
  return op->emitOpError() << "has a dynamic result whose sizes are not known";
}

//===- GraphBuilder.cpp - typed pieces of a model's graph -------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every layer becomes one or two linalg ops in destination-passing style. Small
// constants stand inside the bodies that use them, so that a body reads as its
// formula; only the zero that fills accumulators is shared.
//
//===----------------------------------------------------------------------===//

#include "GraphBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace ropewalk {
namespace {

RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// A part of what stands at `loc`, which is the name of a layer: printed values
/// carry the name of the part.
Location part(Location loc, StringRef name) {
  return NameLoc::get(StringAttr::get(loc.getContext(), name), loc);
}

Value constant(OpBuilder &b, Location loc, StringRef name, double value) {
  return arith::ConstantOp::create(b, part(loc, name),
                                   b.getF32FloatAttr(value));
}

/// The value as f32.
Value extend(OpBuilder &b, Location loc, Value value) {
  if (value.getType().isF32())
    return value;
  return arith::ExtFOp::create(b, part(loc, "extended"), b.getF32Type(), value);
}

/// linalg.generic with one result; `body` returns what it yields.
Value generic(OpBuilder &builder, Location loc, Value init, ValueRange inputs,
              ArrayRef<AffineMap> maps, ArrayRef<utils::IteratorType> loops,
              function_ref<Value(OpBuilder &, ValueRange)> body) {
  auto op = linalg::GenericOp::create(
      builder, loc, init.getType(), inputs, init, maps, loops,
      [&](OpBuilder &b, Location, ValueRange arguments) {
        for (Value argument : arguments.drop_back())
          argument.setLoc(part(loc, "in"));
        arguments.back().setLoc(part(loc, "out"));
        linalg::YieldOp::create(b, loc, body(b, arguments));
      });
  return op.getResult(0);
}

} // namespace

void GraphBuilder::setSizes(Location loc, Value batch, Value sequence,
                            Value rows) {
  this->batch = batch;
  this->sequence = sequence;
  this->rows = rows;
  zero = constant(builder, loc, "zero", 0.0);
}

Value GraphBuilder::emptyRows(Location loc, std::optional<int64_t> columns) {
  SmallVector<int64_t> shape = {ShapedType::kDynamic};
  if (columns)
    shape.push_back(*columns);
  return tensor::EmptyOp::create(builder, part(loc, "init"), shape,
                                 builder.getF32Type(), rows);
}

Value GraphBuilder::zeroRows(Location loc, std::optional<int64_t> columns) {
  return linalg::FillOp::create(builder, part(loc, "zeros"), zero,
                                emptyRows(loc, columns))
      .getResult(0);
}

Value GraphBuilder::emptyHeads(Location loc, int64_t heads, int64_t headDim) {
  return tensor::EmptyOp::create(
      builder, part(loc, "init"),
      {ShapedType::kDynamic, heads, ShapedType::kDynamic, headDim},
      builder.getF32Type(), ValueRange{batch, sequence});
}

Value GraphBuilder::elementwise(Location loc, Value init, ValueRange inputs,
                                ArrayRef<AffineMap> maps, Body body) {
  int64_t rank = typeOf(init).getRank();
  SmallVector<AffineMap> all(maps);
  all.push_back(builder.getMultiDimIdentityMap(rank));
  SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
  return generic(builder, loc, init, inputs, all, loops, body);
}

AffineMap GraphBuilder::both() { return builder.getMultiDimIdentityMap(2); }
AffineMap GraphBuilder::row() {
  return AffineMap::get(2, 0, builder.getAffineDimExpr(0));
}
AffineMap GraphBuilder::column() {
  return AffineMap::get(2, 0, builder.getAffineDimExpr(1));
}

Value GraphBuilder::embedding(Location loc, Value ids, Value table) {
  Value init = emptyRows(loc, typeOf(table).getDimSize(1));
  return elementwise(
      loc, init, ids, row(), [&](OpBuilder &b, ValueRange arguments) {
        Value id = arith::IndexCastOp::create(b, part(loc, "id"),
                                              b.getIndexType(), arguments[0]);
        Value column = linalg::IndexOp::create(b, part(loc, "column"), 1);
        Value entry = tensor::ExtractOp::create(b, part(loc, "entry"), table,
                                                ValueRange{id, column});
        return extend(b, loc, entry);
      });
}

Value GraphBuilder::rmsNorm(Location loc, Value x, Value weight,
                            double epsilon) {
  int64_t size = typeOf(x).getDimSize(1);
  Value squares = generic(
      builder, part(loc, "squares"), zeroRows(loc), x, {both(), row()},
      {utils::IteratorType::parallel, utils::IteratorType::reduction},
      [&](OpBuilder &b, ValueRange arguments) -> Value {
        Value square = arith::MulFOp::create(b, part(loc, "square"),
                                             arguments[0], arguments[0]);
        return arith::AddFOp::create(b, part(loc, "sum"), arguments[1], square);
      });
  return elementwise(
      loc, emptyRows(loc, size), {x, squares, weight},
      {both(), row(), column()},
      [&](OpBuilder &b, ValueRange arguments) -> Value {
        Value count = constant(b, loc, "count", static_cast<double>(size));
        Value mean =
            arith::DivFOp::create(b, part(loc, "mean"), arguments[1], count);
        Value shift = constant(b, loc, "epsilon", epsilon);
        Value shifted =
            arith::AddFOp::create(b, part(loc, "shifted"), mean, shift);
        Value scale = math::RsqrtOp::create(b, part(loc, "scale"), shifted);
        Value normal =
            arith::MulFOp::create(b, part(loc, "normal"), arguments[0], scale);
        return arith::MulFOp::create(b, part(loc, "weighted"), normal,
                                     extend(b, loc, arguments[2]));
      });
}

Value GraphBuilder::linear(Location loc, Value x, Value weight, Value bias) {
  int64_t outputs = typeOf(weight).getDimSize(0);
  AffineExpr m, n, k;
  bindDims(builder.getContext(), m, n, k);
  auto map = [&](AffineExpr first, AffineExpr second) {
    return AffineMap::get(3, 0, {first, second}, builder.getContext());
  };
  Value product = generic(
      builder, loc, zeroRows(loc, outputs), {x, weight},
      {map(m, k), map(n, k), map(m, n)},
      {utils::IteratorType::parallel, utils::IteratorType::parallel,
       utils::IteratorType::reduction},
      [&](OpBuilder &b, ValueRange arguments) -> Value {
        Value term = arith::MulFOp::create(b, part(loc, "term"), arguments[0],
                                           extend(b, loc, arguments[1]));
        return arith::AddFOp::create(b, part(loc, "sum"), arguments[2], term);
      });
  if (!bias)
    return product;
  return elementwise(
      loc, emptyRows(loc, outputs), {product, bias}, {both(), column()},
      [&](OpBuilder &b, ValueRange arguments) -> Value {
        return arith::AddFOp::create(b, part(loc, "biased"), arguments[0],
                                     extend(b, loc, arguments[1]));
      });
}

Value GraphBuilder::swiglu(Location loc, Value gate, Value up) {
  return elementwise(
      loc, emptyRows(loc, typeOf(gate).getDimSize(1)), {gate, up},
      {both(), both()}, [&](OpBuilder &b, ValueRange arguments) -> Value {
        // silu(x) = x / (1 + exp(-x)); exp overflows to inf for x far below 0,
        // which gives the right limit, -0.
        Value negated =
            arith::NegFOp::create(b, part(loc, "negated"), arguments[0]);
        Value power = math::ExpOp::create(b, part(loc, "power"), negated);
        Value one = constant(b, loc, "one", 1.0);
        Value divisor =
            arith::AddFOp::create(b, part(loc, "divisor"), power, one);
        Value silu =
            arith::DivFOp::create(b, part(loc, "silu"), arguments[0], divisor);
        return arith::MulFOp::create(b, part(loc, "gated"), silu, arguments[1]);
      });
}

Value GraphBuilder::add(Location loc, Value lhs, Value rhs) {
  return elementwise(loc, emptyRows(loc, typeOf(lhs).getDimSize(1)), {lhs, rhs},
                     {both(), both()},
                     [&](OpBuilder &b, ValueRange arguments) -> Value {
                       return arith::AddFOp::create(b, part(loc, "sum"),
                                                    arguments[0], arguments[1]);
                     });
}

Value GraphBuilder::splitHeads(Location loc, Value x, int64_t heads,
                               int64_t headDim) {
  auto split = RankedTensorType::get(
      {ShapedType::kDynamic, ShapedType::kDynamic, heads, headDim},
      builder.getF32Type());
  SmallVector<OpFoldResult> sizes = {batch, sequence,
                                     builder.getIndexAttr(heads),
                                     builder.getIndexAttr(headDim)};
  Value expanded = tensor::ExpandShapeOp::create(
      builder, part(loc, "split"), split, x,
      ArrayRef<ReassociationIndices>{{0, 1}, {2, 3}}, sizes);
  return linalg::TransposeOp::create(builder, part(loc, "heads"), expanded,
                                     emptyHeads(loc, heads, headDim),
                                     ArrayRef<int64_t>{0, 2, 1, 3})
      .getResult()[0];
}

Value GraphBuilder::mergeHeads(Location loc, Value x) {
  int64_t heads = typeOf(x).getDimSize(1), headDim = typeOf(x).getDimSize(3);
  Value init = tensor::EmptyOp::create(
      builder, part(loc, "init"),
      {ShapedType::kDynamic, ShapedType::kDynamic, heads, headDim},
      builder.getF32Type(), ValueRange{batch, sequence});
  Value transposed =
      linalg::TransposeOp::create(builder, part(loc, "split"), x, init,
                                  ArrayRef<int64_t>{0, 2, 1, 3})
          .getResult()[0];
  return tensor::CollapseShapeOp::create(
      builder, part(loc, "rows"), transposed,
      ArrayRef<ReassociationIndices>{{0, 1}, {2, 3}});
}

Value GraphBuilder::splitRows(Location loc, Value x) {
  int64_t columns = typeOf(x).getDimSize(1);
  auto type = RankedTensorType::get(
      {ShapedType::kDynamic, ShapedType::kDynamic, columns},
      builder.getF32Type());
  SmallVector<OpFoldResult> sizes = {batch, sequence,
                                     builder.getIndexAttr(columns)};
  return tensor::ExpandShapeOp::create(
      builder, loc, type, x, ArrayRef<ReassociationIndices>{{0, 1}, {2}},
      sizes);
}

Value GraphBuilder::addScalar(Location loc, Value vector, Value scalar) {
  Value init = tensor::EmptyOp::create(
      builder, part(loc, "init"), typeOf(vector).getShape(),
      typeOf(vector).getElementType(), ValueRange{batch});
  AffineMap item = builder.getMultiDimIdentityMap(1);
  AffineMap none = AffineMap::get(1, 0, builder.getContext());
  return elementwise(loc, init, {vector, scalar}, {item, none},
                     [&](OpBuilder &b, ValueRange arguments) -> Value {
                       return arith::AddIOp::create(b, part(loc, "sum"),
                                                    arguments[0], arguments[1]);
                     });
}

} // namespace ropewalk

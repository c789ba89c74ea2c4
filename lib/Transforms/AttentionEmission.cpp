//===- AttentionEmission.cpp - Parts of lowered attention ------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A position p and an inverse frequency f give the angle p * f / unit. It is
// made in float64 and its cos and sin are rounded once, after the rotary's
// factor: float32 angles near 10^6 are wrong by up to 0.03.
//
// An axis of size "B or 1" of unknown size is indexed by a select on its size,
// so that one compiled function serves both.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Transforms/AttentionEmission.h"

#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace ropewalk {
namespace {

Value constantIndex(OpBuilder &b, Location loc, int64_t value) {
  return arith::ConstantIndexOp::create(b, loc, value);
}

Value toIndex(OpBuilder &b, Location loc, Value value) {
  return arith::IndexCastOp::create(b, loc, b.getIndexType(), value);
}

/// `index`, or 0 where the axis of `tensor` is of size 1.
Value broadcastIndex(OpBuilder &b, Location loc, Value tensor, int64_t axis,
                     Value index) {
  int64_t size = cast<RankedTensorType>(tensor.getType()).getDimSize(axis);
  if (size == 1)
    return constantIndex(b, loc, 0);
  if (!ShapedType::isDynamic(size))
    return index;
  Value actual = tensor::DimOp::create(b, loc, tensor, axis);
  Value isOne = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, actual,
                                      constantIndex(b, loc, 1));
  return arith::SelectOp::create(b, loc, isOne, constantIndex(b, loc, 0),
                                 index);
}

/// True unless the axis is statically of size 1 or not there.
bool varies(Value tensor, int64_t axis) {
  auto type = dyn_cast<RankedTensorType>(tensor.getType());
  return type && type.getRank() > axis && type.getDimSize(axis) != 1;
}

/// The tables of angles position(item, head, row, pair) * frequency(head,
/// pair).
RotationTables
emitTables(OpBuilder &b, Location loc, ArrayRef<OpFoldResult> sizes,
           FloatType elementType, double factor,
           llvm::function_ref<Value(OpBuilder &, ValueRange)> position,
           llvm::function_ref<Value(OpBuilder &, ValueRange)> frequency) {
  Value cosInit = tensor::EmptyOp::create(b, loc, sizes, elementType);
  Value sinInit = tensor::EmptyOp::create(b, loc, sizes, elementType);
  AffineMap identity = b.getMultiDimIdentityMap(sizes.size());
  SmallVector<utils::IteratorType> iterators(sizes.size(),
                                             utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      b, loc, TypeRange{cosInit.getType(), sinInit.getType()}, ValueRange{},
      ValueRange{cosInit, sinInit}, ArrayRef<AffineMap>{identity, identity},
      iterators, [&](OpBuilder &b, Location loc, ValueRange) {
        SmallVector<Value> indices;
        for (unsigned i = 0; i < sizes.size(); ++i)
          indices.push_back(linalg::IndexOp::create(b, loc, i));
        Value integer = arith::IndexCastOp::create(b, loc, b.getI64Type(),
                                                   position(b, indices));
        Value real = arith::SIToFPOp::create(b, loc, b.getF64Type(), integer);
        Value angle =
            arith::MulFOp::create(b, loc, real, frequency(b, indices));
        Value cosine = math::CosOp::create(b, loc, angle);
        Value sine = math::SinOp::create(b, loc, angle);
        if (factor != 1.0) {
          Value scale =
              arith::ConstantOp::create(b, loc, b.getF64FloatAttr(factor));
          cosine = arith::MulFOp::create(b, loc, cosine, scale);
          sine = arith::MulFOp::create(b, loc, sine, scale);
        }
        linalg::YieldOp::create(
            b, loc,
            ValueRange{emitFloatCast(b, loc, cosine, elementType),
                       emitFloatCast(b, loc, sine, elementType)});
      });
  return {generic.getResult(0), generic.getResult(1)};
}

/// The rotary's inverse frequencies as a constant tensor<P x f64>.
Value frequencyConstant(OpBuilder &b, Location loc, rope::RotaryAttr rotary,
                        int64_t unit) {
  SmallVector<double> frequencies = rotary.getInverseFrequencies();
  for (double &frequency : frequencies)
    frequency /= static_cast<double>(unit);
  auto type = RankedTensorType::get({static_cast<int64_t>(frequencies.size())},
                                    b.getF64Type());
  return arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(type, ArrayRef<double>(frequencies)));
}

} // namespace

Value emitMinimum(OpBuilder &b, Location loc, AffineMap map, Value position,
                  ValueRange symbols) {
  Value minimum;
  for (AffineExpr expr : map.getResults()) {
    Value value =
        affine::expandAffineExpr(b, loc, expr, ValueRange{position}, symbols);
    minimum = minimum ? arith::MinSIOp::create(b, loc, minimum, value) : value;
  }
  return minimum;
}

Value emitFloatCast(OpBuilder &b, Location loc, Value value, Type type) {
  Type from = getElementTypeOrSelf(value.getType());
  Type to = getElementTypeOrSelf(type);
  if (from == to)
    return value;
  if (from.getIntOrFloatBitWidth() < to.getIntOrFloatBitWidth())
    return arith::ExtFOp::create(b, loc, type, value);
  if (from.getIntOrFloatBitWidth() > to.getIntOrFloatBitWidth())
    return arith::TruncFOp::create(b, loc, type, value);
  // f16 and bf16: neither holds the other.
  Type wide = b.getF32Type();
  if (auto vector = dyn_cast<VectorType>(type))
    wide = vector.clone(wide);
  Value extended = arith::ExtFOp::create(b, loc, wide, value);
  return arith::TruncFOp::create(b, loc, type, extended);
}

Value emitRotation(OpBuilder &b, Location loc, Value x, RotationTables tables,
                   int64_t headsPerTable, FloatType elementType) {
  auto type = cast<RankedTensorType>(x.getType());
  auto tableType = cast<RankedTensorType>(tables.cosine.getType());
  int64_t pairs = tableType.getDimSize(3);
  int64_t width = type.getDimSize(3);
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, x);
  SmallVector<OpFoldResult> offsets(4, b.getIndexAttr(0));
  SmallVector<OpFoldResult> strides(4, b.getIndexAttr(1));
  SmallVector<utils::IteratorType> iterators(4, utils::IteratorType::parallel);
  AffineMap identity = b.getMultiDimIdentityMap(4);
  Value result = tensor::EmptyOp::create(b, loc, sizes, elementType);

  auto slice = [&](Value source, int64_t first, int64_t count) -> Value {
    SmallVector<OpFoldResult> from = offsets, extent = sizes;
    from[3] = b.getIndexAttr(first);
    extent[3] = b.getIndexAttr(count);
    return tensor::ExtractSliceOp::create(b, loc, source, from, extent,
                                          strides);
  };
  auto insert = [&](Value source, int64_t first, int64_t count) {
    SmallVector<OpFoldResult> to = offsets, extent = sizes;
    to[3] = b.getIndexAttr(first);
    extent[3] = b.getIndexAttr(count);
    result = tensor::InsertSliceOp::create(b, loc, source, result, to, extent,
                                           strides);
  };

  Value low = slice(x, 0, pairs), high = slice(x, pairs, pairs);
  AffineExpr zero = b.getAffineConstantExpr(0);
  AffineMap tableMap = AffineMap::get(
      4, 0,
      {tableType.getDimSize(0) == 1 ? zero : b.getAffineDimExpr(0),
       tableType.getDimSize(1) == 1
           ? zero
           : b.getAffineDimExpr(1).floorDiv(headsPerTable),
       b.getAffineDimExpr(2), b.getAffineDimExpr(3)},
      b.getContext());
  // Each half in place: out = x * cos + y * (-sin | sin).
  auto half = [&](Value self, Value other, int64_t first, bool isHigh) {
    Value init = slice(result, first, pairs);
    auto generic = linalg::GenericOp::create(
        b, loc, init.getType(),
        ValueRange{self, other, tables.cosine, tables.sine}, ValueRange{init},
        ArrayRef<AffineMap>{identity, identity, tableMap, tableMap, identity},
        iterators, [&](OpBuilder &b, Location loc, ValueRange args) {
          Value a = arith::MulFOp::create(
              b, loc, emitFloatCast(b, loc, args[0], elementType), args[2]);
          Value c = arith::MulFOp::create(
              b, loc, emitFloatCast(b, loc, args[1], elementType), args[3]);
          Value sum = isHigh ? arith::AddFOp::create(b, loc, a, c).getResult()
                             : arith::SubFOp::create(b, loc, a, c).getResult();
          linalg::YieldOp::create(b, loc, sum);
        });
    insert(generic.getResult(0), first, pairs);
  };
  half(low, high, 0, /*isHigh=*/false);
  half(high, low, pairs, /*isHigh=*/true);
  if (width > 2 * pairs) {
    int64_t rest = width - 2 * pairs;
    Value init = slice(result, 2 * pairs, rest);
    auto generic = linalg::GenericOp::create(
        b, loc, init.getType(), ValueRange{slice(x, 2 * pairs, rest)},
        ValueRange{init}, ArrayRef<AffineMap>{identity, identity}, iterators,
        [&](OpBuilder &b, Location loc, ValueRange args) {
          linalg::YieldOp::create(b, loc,
                                  emitFloatCast(b, loc, args[0], elementType));
        });
    insert(generic.getResult(0), 2 * pairs, rest);
  }
  return result;
}

RotationTables emitRotationTables(OpBuilder &b, Location loc,
                                  rope::RotaryAttr rotary, Value positions,
                                  FloatType elementType) {
  Value frequencies = frequencyConstant(b, loc, rotary, 1);
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, positions);
  sizes.insert(sizes.begin() + 1, b.getIndexAttr(1));
  sizes.push_back(b.getIndexAttr(rotary.getNumPairs()));
  return emitTables(
      b, loc, sizes, elementType, rotary.getRotationFactor(),
      [&](OpBuilder &b, ValueRange indices) {
        Value position = tensor::ExtractOp::create(
            b, loc, positions, ValueRange{indices[0], indices[2]});
        return toIndex(b, loc, position);
      },
      [&](OpBuilder &b, ValueRange indices) -> Value {
        return tensor::ExtractOp::create(b, loc, frequencies,
                                         ValueRange{indices[3]});
      });
}

//===----------------------------------------------------------------------===//
// AttentionEmitter
//===----------------------------------------------------------------------===//

AttentionEmitter::AttentionEmitter(rope::AttentionOp op)
    : op(op), loc(op.getLoc()), parameterList(op.getMap().getMapParameters()),
      segmentList(op.getMap().getSegments()) {
  Builder b(op.getContext());
  type = getElementTypeOrSelf(op.getQuery().getType()).isF64() ? b.getF64Type()
                                                               : b.getF32Type();
}

SmallVector<AffineMap> AttentionEmitter::distinctMaps(Side side) const {
  llvm::SetVector<AffineMap, SmallVector<AffineMap>> maps;
  for (const rope::Segment &segment : segmentList)
    if (!segment.masked)
      maps.insert(side == Side::Query ? segment.query : segment.key);
  return maps.takeVector();
}

SmallVector<Value> AttentionEmitter::parameters(OpBuilder &b, Value item,
                                                Value head, Value pair) const {
  SmallVector<Value> values;
  auto operands = op.getParameters();
  unsigned next = 0;
  for (const rope::MapParameter &parameter : parameterList) {
    if (parameter.value) {
      values.push_back(constantIndex(b, loc, *parameter.value));
      continue;
    }
    Value operand = operands[next++];
    auto tensorType = dyn_cast<RankedTensorType>(operand.getType());
    // A caller that breaks the minimum gets a wrong result, not a division by
    // zero.
    auto push = [&](Value value) {
      values.push_back(
          arith::MaxSIOp::create(b, loc, toIndex(b, loc, value),
                                 constantIndex(b, loc, parameter.minimum)));
    };
    if (!tensorType) {
      push(operand);
      continue;
    }
    if (tensorType.getRank() == 3 && !pair) {
      values.push_back(constantIndex(b, loc, parameter.minimum));
      continue;
    }
    SmallVector<Value> indices;
    Value axes[] = {item, head, pair};
    for (int64_t axis = 0; axis < tensorType.getRank(); ++axis)
      indices.push_back(broadcastIndex(b, loc, operand, axis, axes[axis]));
    push(tensor::ExtractOp::create(b, loc, operand, indices));
  }
  return values;
}

Value AttentionEmitter::perItem(OpBuilder &b, Value operand, Value item) const {
  if (!operand)
    return constantIndex(b, loc, 0);
  if (isa<RankedTensorType>(operand.getType()))
    operand = tensor::ExtractOp::create(b, loc, operand, ValueRange{item});
  return toIndex(b, loc, operand);
}

Value AttentionEmitter::firstSlot(OpBuilder &b, Side side, Value item) const {
  Value start = side == Side::Query ? op.getQueryStart() : op.getKeyStart();
  if (side == Side::Key)
    return start ? start : constantIndex(b, loc, 0);
  Value offset = perItem(b, op.getQueryOffset(), item);
  return start ? arith::AddIOp::create(b, loc, offset, start).getResult()
               : offset;
}

Value AttentionEmitter::position(OpBuilder &b, Side side, Value item,
                                 Value index) const {
  Value explicitPositions =
      side == Side::Query ? op.getQueryPositions() : op.getKeyPositions();
  if (explicitPositions) {
    Value row = broadcastIndex(b, loc, explicitPositions, 0, item);
    return toIndex(b, loc,
                   tensor::ExtractOp::create(b, loc, explicitPositions,
                                             ValueRange{row, index}));
  }
  Value slot = arith::AddIOp::create(b, loc, firstSlot(b, side, item), index);
  if (!op.getPositionOffset())
    return slot;
  return arith::AddIOp::create(b, loc, slot,
                               perItem(b, op.getPositionOffset(), item));
}

Value AttentionEmitter::newestEnd(OpBuilder &b, Value position) const {
  if (!op.getCausal())
    return constantIndex(b, loc, int64_t(1) << 62);
  return arith::AddIOp::create(b, loc, position, constantIndex(b, loc, 1));
}

SmallVector<Value> AttentionEmitter::cuts(OpBuilder &b, Value position,
                                          ValueRange parameters) const {
  SmallVector<Value> bounds;
  Value zero = constantIndex(b, loc, 0);
  Value previous = newestEnd(b, position);
  for (const rope::Segment &segment : segmentList) {
    Value from = emitMinimum(b, loc, segment.from, position, parameters);
    from = arith::MinSIOp::create(b, loc, from, previous);
    from = arith::MaxSIOp::create(b, loc, from, zero);
    bounds.push_back(from);
    previous = from;
  }
  return bounds;
}

bool AttentionEmitter::dependsOnItem(Side side, AffineMap map) const {
  if (side == Side::Query ? op.getQueryPositions() : op.getKeyPositions())
    return varies(
        side == Side::Query ? op.getQueryPositions() : op.getKeyPositions(), 0);
  if (side == Side::Query && op.getQueryOffset() &&
      isa<RankedTensorType>(op.getQueryOffset().getType()))
    return true;
  if (op.getPositionOffset() &&
      isa<RankedTensorType>(op.getPositionOffset().getType()))
    return true;
  unsigned next = 0;
  for (auto [index, parameter] : llvm::enumerate(parameterList))
    if (!parameter.value) {
      Value operand = op.getParameters()[next++];
      if (map.isFunctionOfSymbol(index) && varies(operand, 0))
        return true;
    }
  return false;
}

bool AttentionEmitter::dependsOnHead(AffineMap map) const {
  if (op.getInverseFrequencies() && varies(op.getInverseFrequencies(), 0))
    return true;
  unsigned next = 0;
  for (auto [index, parameter] : llvm::enumerate(parameterList))
    if (!parameter.value) {
      Value operand = op.getParameters()[next++];
      if (map.isFunctionOfSymbol(index) && varies(operand, 1))
        return true;
    }
  return false;
}

RotationTables AttentionEmitter::tables(OpBuilder &b, Side side, AffineMap map,
                                        OpFoldResult count,
                                        bool transposed) const {
  Value rows = side == Side::Query ? op.getQuery() : op.getKey();
  int64_t unit = op.getMap().getUnit();
  Value given = op.getInverseFrequencies();
  Value constant =
      given ? Value() : frequencyConstant(b, loc, op.getRotary(), unit);
  OpFoldResult one = b.getIndexAttr(1);
  OpFoldResult items =
      dependsOnItem(side, map) ? tensor::getMixedSize(b, loc, rows, 0) : one;
  OpFoldResult heads = dependsOnHead(map)
                           ? OpFoldResult(b.getIndexAttr(op.getNumKVHeads()))
                           : one;
  if (!count)
    count = tensor::getMixedSize(b, loc, rows, 2);
  SmallVector<OpFoldResult> sizes = {
      items, heads, count, b.getIndexAttr(op.getRotary().getNumPairs())};
  unsigned row = 2, pair = 3;
  if (transposed) {
    std::swap(sizes[2], sizes[3]);
    std::swap(row, pair);
  }
  return emitTables(
      b, loc, sizes, type, op.getRotary().getRotationFactor(),
      [&](OpBuilder &b, ValueRange indices) {
        return emitMinimum(
            b, loc, map, position(b, side, indices[0], indices[row]),
            parameters(b, indices[0], indices[1], indices[pair]));
      },
      [&](OpBuilder &b, ValueRange indices) -> Value {
        if (constant)
          return tensor::ExtractOp::create(b, loc, constant,
                                           ValueRange{indices[pair]});
        Value value = tensor::ExtractOp::create(
            b, loc, given,
            ValueRange{broadcastIndex(b, loc, given, 0, indices[1]),
                       indices[pair]});
        value = emitFloatCast(b, loc, value, b.getF64Type());
        if (unit == 1)
          return value;
        Value divisor = arith::ConstantOp::create(
            b, loc, b.getF64FloatAttr(static_cast<double>(unit)));
        return arith::DivFOp::create(b, loc, value, divisor);
      });
}

} // namespace ropewalk

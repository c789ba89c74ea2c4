//===- TileKernels.cpp - Vector loops on a tile of keys --------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The two products hold rows x two vectors of sums in registers and broadcast
// the elements of the rows; the softmax between them works row by row.
//
//===----------------------------------------------------------------------===//

#include "TiledAttention.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace ropewalk;
using namespace ropewalk::cpu;

/// into = queries [TQ, D] * keys[item, head, :, firstKey + ...] for a tile.
Value TiledAttention::scores(Value queries, Value keys, Value firstKey,
                             Value into, const TileIndex &at) {
  int64_t step = 2 * tiles.width;
  Value zero = index(0);
  return loop(zero, index(tiles.keys), step, ValueRange{into},
              [&](Value column, ValueRange outer) {
                Value key = add(firstKey, column);
                Value nextKey = add(key, index(tiles.width));
                return loop(
                    zero, at.end, tiles.rows, outer,
                    [&](Value row, ValueRange inner) -> SmallVector<Value> {
                      SmallVector<Value> rows;
                      for (int64_t r = 0; r < tiles.rows; ++r)
                        rows.push_back(add(row, index(r)));
                      SmallVector<Value> sums(2 * tiles.rows,
                                              splat(real(0), tiles.width));
                      sums = loop(
                          zero, index(op.getHeadDim()), 1, sums,
                          [&](Value d, ValueRange now) {
                            Value k[2] = {
                                read(keys, {at.item, at.kvHead, d, key},
                                     tiles.width),
                                read(keys, {at.item, at.kvHead, d, nextKey},
                                     tiles.width)};
                            SmallVector<Value> next;
                            for (int64_t r = 0; r < tiles.rows; ++r) {
                              Value q = splat(get(queries, {rows[r], d}),
                                              tiles.width);
                              for (int v : {0, 1})
                                next.push_back(vector::FMAOp::create(
                                    b, q, k[v], now[2 * r + v]));
                            }
                            return next;
                          });
                      Value result = inner[0];
                      Value second = add(column, index(tiles.width));
                      for (int64_t r = 0; r < tiles.rows; ++r) {
                        result = write(sums[2 * r], result, {rows[r], column});
                        result =
                            write(sums[2 * r + 1], result, {rows[r], second});
                      }
                      return {result};
                    });
              })
      .front();
}

/// A vector of the bias at a row of the tile, f32; zeros outside of it.
Value TiledAttention::bias(const TileIndex &at, Value row, Value column) {
  Value tensor = op.getBias();
  auto type = cast<RankedTensorType>(tensor.getType());
  Value zero = index(0);
  Value last = sub(tensor::DimOp::create(b, tensor, 2), index(1));
  SmallVector<Value> indices = {at.item, at.head, least(add(at.row, row), last),
                                column};
  for (unsigned axis : {0u, 1u}) {
    if (type.getDimSize(axis) == 1) {
      indices[axis] = zero;
    } else if (type.isDynamicDim(axis)) {
      Value one = arith::CmpIOp::create(b, arith::CmpIPredicate::eq,
                                        tensor::DimOp::create(b, tensor, axis),
                                        index(1));
      indices[axis] = arith::SelectOp::create(b, one, zero, indices[axis]);
    }
  }
  Value vector = read(tensor, indices, tiles.width, /*inBounds=*/false);
  return emitFloatCast(b, b.getLoc(), vector,
                       VectorType::get({tiles.width}, f32));
}

/// Turns a tile of scores into weights, row by row.
State TiledAttention::softmax(State state, const Bounds &bounds, Value firstKey,
                              const TileIndex &at) {
  int64_t width = tiles.width;
  Value zero = index(0), keys = index(tiles.keys);
  Type i32 = b.getI32Type();
  Value lowest = arith::ConstantOp::create(
      b,
      b.getFloatAttr(f32, APFloat::getLargest(f32.getFloatSemantics(), true)));
  SmallVector<int32_t> counting(width);
  for (int64_t lane = 0; lane < width; ++lane)
    counting[lane] = lane;
  Value lanes = arith::ConstantOp::create(b, b.getI32VectorAttr(counting));
  auto smooth = arith::FastMathFlags::reassoc | arith::FastMathFlags::contract;
  auto flags = arith::FastMathFlagsAttr::get(b.getContext(), smooth);

  SmallVector<Value> next = loop(
      zero, at.end, 1, state.list(),
      [&](Value r, ValueRange carried) -> SmallVector<Value> {
        State now = State::from(carried);
        Value low = splat(get(bounds.low, {r}), width);
        Value high = splat(get(bounds.high, {r}), width);
        Value old = get(now.maximum, {r});
        SmallVector<Value> first = loop(
            zero, keys, width, ValueRange{now.scores, splat(lowest, width)},
            [&](Value column, ValueRange inner) -> SmallVector<Value> {
              Value score = read(inner[0], {r, column}, width);
              if (auto cap = op.getSoftcap()) {
                double c = cap->convertToDouble();
                score = arith::DivFOp::create(b, score, splat(real(c), width));
                score = math::TanhOp::create(b, score);
                score = arith::MulFOp::create(b, score, splat(real(c), width));
              }
              Value key = add(firstKey, column);
              if (op.getBias())
                score = arith::AddFOp::create(b, score, bias(at, r, key));
              Value start = arith::IndexCastOp::create(b, i32, key);
              Value places =
                  arith::AddIOp::create(b, lanes, splat(start, width));
              Value inside = arith::AndIOp::create(
                  b,
                  arith::CmpIOp::create(b, arith::CmpIPredicate::sge, places,
                                        low),
                  arith::CmpIOp::create(b, arith::CmpIPredicate::slt, places,
                                        high));
              Value nothing =
                  splat(real(-std::numeric_limits<double>::infinity()), width);
              score = arith::SelectOp::create(b, inside, score, nothing);
              return {write(score, inner[0], {r, column}),
                      arith::MaximumFOp::create(b, inner[1], score)};
            });
        Value maximum = vector::ReductionOp::create(
            b, vector::CombiningKind::MAXIMUMF, first[1], old);
        Value shift = splat(maximum, width);
        SmallVector<Value> second =
            loop(zero, keys, width, ValueRange{first[0], splat(real(0), width)},
                 [&](Value column, ValueRange inner) -> SmallVector<Value> {
                   Value score = read(inner[0], {r, column}, width);
                   Value weight = math::ExpOp::create(
                       b, arith::SubFOp::create(b, score, shift));
                   return {write(weight, inner[0], {r, column}),
                           arith::AddFOp::create(b, inner[1], weight, flags)};
                 });
        Value correction =
            math::ExpOp::create(b, arith::SubFOp::create(b, old, maximum));
        Value before =
            arith::MulFOp::create(b, get(now.denominator, {r}), correction);
        Value sum = vector::ReductionOp::create(b, vector::CombiningKind::ADD,
                                                second[1], before, smooth);
        now.maximum = set(maximum, now.maximum, {r});
        now.denominator = set(sum, now.denominator, {r});
        now.scores = second[0];
        now.correction = set(correction, now.correction, {r});
        return now.list();
      });
  return State::from(next);
}

/// sums = sums * correction + weights * values, over the columns [from, to) of
/// the tile of keys.
State TiledAttention::accumulate(State state, Value from, Value to,
                                 Value firstKey, const TileIndex &at) {
  int64_t width = tiles.width, dims = op.getValueDim();
  while (dims % width)
    width /= 2;
  Value zero = index(0);
  auto vectorType = VectorType::get({width}, f32);
  // `count` vectors of the value's dimensions from `column` on.
  auto group = [&](Value column, int64_t count, Value sums) {
    SmallVector<Value> columns;
    for (int64_t v = 0; v < count; ++v)
      columns.push_back(add(column, index(v * width)));
    return loop(zero, at.end, tiles.rows, ValueRange{sums},
                [&](Value row, ValueRange carried) -> SmallVector<Value> {
                  SmallVector<Value> rows, parts;
                  for (int64_t r = 0; r < tiles.rows; ++r) {
                    rows.push_back(add(row, index(r)));
                    Value factor =
                        splat(get(state.correction, {rows[r]}), width);
                    for (Value c : columns)
                      parts.push_back(arith::MulFOp::create(
                          b, read(carried[0], {rows[r], c}, width), factor));
                  }
                  parts =
                      loop(from, to, 1, parts, [&](Value j, ValueRange now) {
                        Value key = add(firstKey, j);
                        SmallVector<Value> values, next;
                        for (Value c : columns)
                          values.push_back(emitFloatCast(
                              b, b.getLoc(),
                              read(op.getValue(), {at.item, at.kvHead, key, c},
                                   width),
                              vectorType));
                        for (int64_t r = 0; r < tiles.rows; ++r) {
                          Value weight =
                              splat(get(state.scores, {rows[r], j}), width);
                          for (int64_t v = 0; v < count; ++v)
                            next.push_back(vector::FMAOp::create(
                                b, weight, values[v], now[r * count + v]));
                        }
                        return next;
                      });
                  Value result = carried[0];
                  for (int64_t r = 0; r < tiles.rows; ++r)
                    for (int64_t v = 0; v < count; ++v)
                      result = write(parts[r * count + v], result,
                                     {rows[r], columns[v]});
                  return {result};
                })
        .front();
  };
  int64_t vectors = dims / width, twos = vectors / 2;
  if (twos > 0)
    state.sums =
        loop(zero, index(2 * width * twos), 2 * width, ValueRange{state.sums},
             [&](Value column, ValueRange carried) -> SmallVector<Value> {
               return {group(column, 2, carried[0])};
             })
            .front();
  if (vectors % 2)
    state.sums = group(index(2 * width * twos), 1, state.sums);
  return state;
}

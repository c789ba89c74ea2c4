//===- TileSegments.cpp - Which keys a tile visits -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The rows of a tile of queries evaluate the cuts of the position map once; the
// least and the largest key of all rows bound the loop over tiles of keys of
// each segment. Every loop carries one softmax state from segment to segment.
//
//===----------------------------------------------------------------------===//

#include "TiledAttention.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace ropewalk;
using namespace ropewalk::cpu;

//===----------------------------------------------------------------------===//
// Inside a tile
//===----------------------------------------------------------------------===//

/// The tile's queries rotated and scaled, [TQ, D]; rows from at.count to at.end
/// are 0, later ones undefined.
Value TiledAttention::rotatedQueries(AffineMap map, RotationTables tables,
                                     const TileIndex &at) {
  int64_t pairs = op.getRotary().getNumPairs(), width = op.getHeadDim();
  auto tableType = cast<RankedTensorType>(tables.cosine.getType());
  Value zero = index(0);
  Value tableItem = tableType.getDimSize(0) == 1 ? zero : at.item;
  Value tableHead = tableType.getDimSize(1) == 1 ? zero : at.kvHead;
  Value scale = real(op.getScale().convertToDouble());
  Value into = scratch({tiles.queries, width}, f32);
  into =
      loop(zero, at.count, 1, ValueRange{into},
           [&](Value r, ValueRange carried) -> SmallVector<Value> {
             Value row = add(at.row, r);
             auto element = [&](Value column) -> Value {
               Value x = get(op.getQuery(), {at.item, at.head, row, column});
               x = emitFloatCast(b, b.getLoc(), x, f32);
               return arith::MulFOp::create(b, x, scale);
             };
             SmallVector<Value> next = loop(
                 zero, index(pairs), 1, carried,
                 [&](Value c, ValueRange inner) -> SmallVector<Value> {
                   Value high = add(c, index(pairs));
                   Value x = element(c), y = element(high);
                   SmallVector<Value> place = {tableItem, tableHead, row, c};
                   Value cosine = get(tables.cosine, place);
                   Value sine = get(tables.sine, place);
                   auto product = [&](Value p, Value q) -> Value {
                     return arith::MulFOp::create(b, p, q);
                   };
                   Value first = arith::SubFOp::create(b, product(x, cosine),
                                                       product(y, sine));
                   Value second = arith::AddFOp::create(b, product(y, cosine),
                                                        product(x, sine));
                   Value updated = set(first, inner[0], {r, c});
                   return {set(second, updated, {r, high})};
                 });
             if (width == 2 * pairs)
               return next;
             return loop(index(2 * pairs), index(width), 1, next,
                         [&](Value c, ValueRange inner) -> SmallVector<Value> {
                           return {set(element(c), inner[0], {r, c})};
                         });
           })
          .front();
  return loop(at.count, at.end, 1, ValueRange{into},
              [&](Value r, ValueRange carried) -> SmallVector<Value> {
                return loop(
                    zero, index(width), 1, carried,
                    [&](Value c, ValueRange inner) -> SmallVector<Value> {
                      return {set(real(0), inner[0], {r, c})};
                    });
              })
      .front();
}

/// For every segment the columns that each row of the tile sees in it.
SmallVector<Bounds> TiledAttention::bounds(const TileIndex &at) {
  Value zero = index(0);
  Type i32 = b.getI32Type();
  SmallVector<Value> parameters = emitter.parameters(b, at.item, at.kvHead, {});
  Value keyStart = emitter.firstSlot(b, Side::Key, at.item);
  // The position of column 0.
  Value base = emitter.position(b, Side::Key, at.item, zero);
  Value first = most(zero, sub(zero, base));
  Value last = tensor::DimOp::create(b, op.getKey(), 2);
  if (Value length = op.getKeyLength())
    last = least(last, sub(emitter.perItem(b, length, at.item), keyStart));
  size_t count = emitter.segments().size();
  // Tensors of lower and upper bounds, then the least and the largest of them.
  SmallVector<Value> carried;
  for (size_t s = 0; s < count; ++s)
    carried.append({scratch({tiles.queries}, i32),
                    scratch({tiles.queries}, i32), index(int64_t(1) << 62),
                    zero});
  SmallVector<Value> found = loop(
      zero, at.end, 1, carried,
      [&](Value r, ValueRange now) -> SmallVector<Value> {
        Value i = emitter.position(b, Side::Query, at.item, add(at.row, r));
        // Rows that are padding, or before the first token, see nothing.
        Value isRow = arith::AndIOp::create(
            b, arith::CmpIOp::create(b, arith::CmpIPredicate::slt, r, at.count),
            arith::CmpIOp::create(b, arith::CmpIPredicate::sge, i, zero));
        SmallVector<Value> cuts = emitter.cuts(b, i, parameters), next;
        Value end = emitter.newestEnd(b, i);
        for (size_t s = 0; s < count; ++s) {
          Value low = most(first, sub(cuts[s], base));
          Value high = least(last, sub(end, base));
          high = arith::SelectOp::create(b, isRow, most(high, low), low);
          Value isEmpty =
              arith::CmpIOp::create(b, arith::CmpIPredicate::sge, low, high);
          low = least(low, last);
          high = arith::SelectOp::create(b, isEmpty, low, high);
          auto narrow = [&](Value value) -> Value {
            return arith::IndexCastOp::create(b, i32, most(value, zero));
          };
          next.push_back(set(narrow(low), now[4 * s], {r}));
          next.push_back(set(narrow(high), now[4 * s + 1], {r}));
          next.push_back(arith::SelectOp::create(b, isEmpty, now[4 * s + 2],
                                                 least(now[4 * s + 2], low)));
          next.push_back(arith::SelectOp::create(b, isEmpty, now[4 * s + 3],
                                                 most(now[4 * s + 3], high)));
          end = cuts[s];
        }
        return next;
      });
  SmallVector<Bounds> result;
  for (size_t s = 0; s < count; ++s)
    result.push_back(
        {found[4 * s], found[4 * s + 1], found[4 * s + 2], found[4 * s + 3]});
  return result;
}

/// One segment: all tiles of keys that it has for this tile of queries.
State TiledAttention::attend(const TileIndex &at, const Bounds &bounds,
                             Value queries, Value keys, State state) {
  Value size = index(tiles.keys), zero = index(0);
  Value first = mul(arith::DivUIOp::create(b, bounds.least, size), size);
  Value isEmpty = arith::CmpIOp::create(b, arith::CmpIPredicate::sge,
                                        bounds.least, bounds.beyond);
  first = arith::SelectOp::create(b, isEmpty, bounds.beyond, first);
  return State::from(
      loop(first, bounds.beyond, tiles.keys, state.list(),
           [&](Value key, ValueRange carried) -> SmallVector<Value> {
             State now = State::from(carried);
             now.scores = scores(queries, keys, key, now.scores, at);
             now = softmax(now, bounds, key, at);
             Value from = most(zero, sub(bounds.least, key));
             Value to = least(size, sub(bounds.beyond, key));
             now = accumulate(now, from, to, key, at);
             return now.list();
           }));
}

/// A whole tile: returns its output [TQ, Dv] in the output's type and, if asked
/// for, its log-sum-exp [TQ].
SmallVector<Value> TiledAttention::tile(const TileIndex &at,
                                        ValueRange outputs) {
  Value zero = index(0);
  Value lowest = arith::ConstantOp::create(
      b,
      b.getFloatAttr(f32, APFloat::getLargest(f32.getFloatSemantics(), true)));
  State state{filled({tiles.queries}, lowest), filled({tiles.queries}, real(0)),
              filled({tiles.queries, op.getValueDim()}, real(0)),
              scratch({tiles.queries, tiles.keys}, f32),
              scratch({tiles.queries}, f32)};
  llvm::SmallMapVector<AffineMap, Value, 2> queries;
  for (auto &[map, tables] : queryTables)
    queries[map] = rotatedQueries(map, tables, at);
  SmallVector<Bounds> cuts = bounds(at);
  for (auto [segment, cut] : llvm::zip_equal(emitter.segments(), cuts))
    if (!segment.masked)
      state =
          attend(at, cut, queries[segment.query], keysOf[segment.key], state);

  SmallVector<Value> results;
  auto isZero = [&](Value value) -> Value {
    return arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, value, real(0));
  };
  Type outType =
      cast<RankedTensorType>(op.getOutput().getType()).getElementType();
  Value output = scratch({tiles.queries, op.getValueDim()}, outType);
  results.push_back(
      loop(zero, at.count, 1, ValueRange{output},
           [&](Value r, ValueRange outer) {
             Value sum = get(state.denominator, {r});
             Value factor = arith::DivFOp::create(b, real(1), sum);
             factor = arith::SelectOp::create(b, isZero(sum), real(0), factor);
             return loop(zero, index(op.getValueDim()), 1, outer,
                         [&](Value c, ValueRange inner) -> SmallVector<Value> {
                           Value x = arith::MulFOp::create(
                               b, get(state.sums, {r, c}), factor);
                           x = emitFloatCast(b, b.getLoc(), x, outType);
                           return {set(x, inner[0], {r, c})};
                         });
           })
          .front());
  if (Value lse = op.getLse()) {
    Type type = cast<RankedTensorType>(lse.getType()).getElementType();
    results.push_back(
        loop(zero, at.count, 1, ValueRange{scratch({tiles.queries}, type)},
             [&](Value r, ValueRange carried) -> SmallVector<Value> {
               Value sum = get(state.denominator, {r});
               Value x = arith::AddFOp::create(b, get(state.maximum, {r}),
                                               math::LogOp::create(b, sum));
               x = arith::SelectOp::create(
                   b, isZero(sum),
                   real(-std::numeric_limits<double>::infinity()), x);
               return {
                   set(emitFloatCast(b, b.getLoc(), x, type), carried[0], {r})};
             })
            .front());
  }
  return results;
}

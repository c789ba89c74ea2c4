//===- TileAttention.cpp - rope.attention as vector code -------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   keys[m] = rotated, transposed [B, Hkv, D, S'] for each distinct key map m
//   parallel over (item, head, tile of queries), longest tiles first:
//     queries[m] = rotated, scaled [TQ, D] for each distinct query map m
//     for each segment that is not masked, newest first:
//       for each row: its keys in this segment, [lo, hi)
//       for each tile of keys between the least lo and the largest hi:
//         scores = queries * keys        registers: rows x two vectors of keys
//         softcap, bias, mask by lo <= key < hi, online softmax
//         sums = sums * correction + weights * values   rows x two vectors
//     output = sums / denominator
//
// A tile that a cut crosses is visited once for each side of it. Vectors run
// along the keys in the first product and along the value's dimensions in the
// second; rows are broadcast elements. Temporaries of keys and queries are
// padded to whole tiles, so no vector ends inside one of them; what the padding
// holds is masked. The running maximum starts from the lowest finite number and
// masked weights are set to 0, so a row with nothing to attend to has the
// denominator 0 and no NaN. Values that no row of the tile attends to are not
// read: slots beyond the length of a cache may hold anything.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Codegen/CPU/Passes.h"

#include "Ropewalk/Transforms/AttentionEmission.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"

namespace ropewalk {
#define GEN_PASS_DEF_TILEATTENTIONPASS
#include "Ropewalk/Codegen/CPU/Passes.h.inc"
} // namespace ropewalk

using namespace mlir;
using namespace ropewalk;

namespace {

struct Tiles {
  /// Queries and keys of a tile.
  int64_t queries, keys;
  /// f32 elements of a vector, and rows whose sums are in registers at once.
  int64_t width, rows;
};

/// What the loop over tiles of keys carries, all f32.
struct State {
  Value maximum;     ///< [TQ]
  Value denominator; ///< [TQ]
  Value sums;        ///< [TQ, Dv]
  Value scores;      ///< [TQ, TK], a scratch buffer
  Value correction;  ///< [TQ], a scratch buffer

  SmallVector<Value> list() const {
    return {maximum, denominator, sums, scores, correction};
  }
  static State from(ValueRange values) {
    return {values[0], values[1], values[2], values[3], values[4]};
  }
};

/// Where a tile of queries is.
struct TileIndex {
  Value item, head, kvHead;
  Value row;   ///< of its first query
  Value count; ///< of its queries
  Value end;   ///< count rounded up to whole register tiles
};

/// The keys that the rows of a tile see in one segment, as columns of K.
struct Bounds {
  Value low, high;     ///< [TQ] i32
  Value least, beyond; ///< over all rows; an empty range if least >= beyond
};

class TiledAttention {
public:
  TiledAttention(rope::AttentionOp op, Tiles tiles, RewriterBase &rewriter)
      : op(op), tiles(tiles), b(op.getLoc(), rewriter), emitter(op),
        f32(b.getF32Type()) {}

  /// Why this form does not cover the operation, or nothing.
  std::optional<StringRef> reasonAgainst();
  SmallVector<Value> run();

private:
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }
  Value real(double value) {
    return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
  }
  Value splat(Value scalar, int64_t width) {
    return vector::BroadcastOp::create(
        b, VectorType::get({width}, scalar.getType()), scalar);
  }
  Value add(Value x, Value y) { return arith::AddIOp::create(b, x, y); }
  Value sub(Value x, Value y) { return arith::SubIOp::create(b, x, y); }
  Value mul(Value x, Value y) { return arith::MulIOp::create(b, x, y); }
  Value least(Value x, Value y) { return arith::MinSIOp::create(b, x, y); }
  Value most(Value x, Value y) { return arith::MaxSIOp::create(b, x, y); }
  Value ceilDiv(Value x, int64_t y) {
    return arith::DivUIOp::create(b, add(x, index(y - 1)), index(y));
  }
  Value read(Value tensor, ValueRange indices, int64_t width,
             bool inBounds = true);
  Value write(Value vector, Value tensor, ValueRange indices);
  Value get(Value tensor, ValueRange indices) {
    return tensor::ExtractOp::create(b, tensor, indices);
  }
  Value set(Value scalar, Value tensor, ValueRange indices) {
    return tensor::InsertOp::create(b, scalar, tensor, indices);
  }
  Value scratch(ArrayRef<int64_t> shape, Type type) {
    return tensor::EmptyOp::create(b, shape, type);
  }
  Value filled(ArrayRef<int64_t> shape, Value value) {
    Value empty = scratch(shape, value.getType());
    return linalg::FillOp::create(b, value, empty).getResult(0);
  }
  /// A loop that carries values; the body returns their next values.
  SmallVector<Value>
  loop(Value from, Value to, int64_t step, ValueRange carried,
       llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body);

  Value longestKeys();
  Value transposedKeys(AffineMap map, Value used);
  Value rotatedQueries(AffineMap map, RotationTables tables,
                       const TileIndex &at);
  SmallVector<Bounds> bounds(const TileIndex &at);
  Value scores(Value queries, Value keys, Value firstKey, Value into,
               const TileIndex &at);
  State softmax(State state, const Bounds &bounds, Value firstKey,
                const TileIndex &at);
  Value bias(const TileIndex &at, Value row, Value column);
  State accumulate(State state, Value from, Value to, Value firstKey,
                   const TileIndex &at);
  State attend(const TileIndex &at, const Bounds &bounds, Value queries,
               Value keys, State state);
  SmallVector<Value> tile(const TileIndex &at, ValueRange outputs);

  rope::AttentionOp op;
  Tiles tiles;
  ImplicitLocOpBuilder b;
  AttentionEmitter emitter;
  FloatType f32;
  llvm::SmallMapVector<AffineMap, Value, 2> keysOf;
  llvm::SmallMapVector<AffineMap, RotationTables, 2> queryTables;
};

//===----------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------===//

Value TiledAttention::read(Value tensor, ValueRange indices, int64_t width,
                           bool inBounds) {
  Type element = cast<RankedTensorType>(tensor.getType()).getElementType();
  auto type = VectorType::get({width}, element);
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(element));
  return vector::TransferReadOp::create(b, type, tensor, indices, zero,
                                        ArrayRef<bool>{inBounds});
}

Value TiledAttention::write(Value vector, Value tensor, ValueRange indices) {
  return vector::TransferWriteOp::create(b, vector, tensor, indices,
                                         ArrayRef<bool>{true})
      .getResult();
}

SmallVector<Value> TiledAttention::loop(
    Value from, Value to, int64_t step, ValueRange carried,
    llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(b, from, to, index(step), carried);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> next =
      body(loop.getInductionVar(), loop.getRegionIterArgs());
  // The builder closes the body itself only where nothing is carried.
  if (!carried.empty())
    scf::YieldOp::create(b, next);
  return loop.getResults();
}

std::optional<StringRef> TiledAttention::reasonAgainst() {
  if (!emitter.computeType().isF32())
    return StringRef("it computes in f64");
  if (op.getQueryPositions() || op.getKeyPositions())
    return StringRef("its positions are explicit, so a segment's keys need not "
                     "be contiguous");
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Before the loop
//===----------------------------------------------------------------------===//

/// The number of columns of K that some item uses.
Value TiledAttention::longestKeys() {
  Value columns = tensor::DimOp::create(b, op.getKey(), 2);
  Value length = op.getKeyLength();
  if (!length)
    return columns;
  Value zero = index(0), largest;
  if (auto type = dyn_cast<RankedTensorType>(length.getType())) {
    Value items = tensor::DimOp::create(b, length, 0);
    largest =
        loop(zero, items, 1, ValueRange{zero},
             [&](Value item, ValueRange carried) -> SmallVector<Value> {
               return {most(carried[0], emitter.perItem(b, length, item))};
             })
            .front();
  } else {
    largest = emitter.perItem(b, length, zero);
  }
  if (Value start = op.getKeyStart())
    largest = sub(largest, start);
  return most(zero, least(columns, largest));
}

/// K rotated by `map`, f32 [B, Hkv, D, S'] with S' >= used a multiple of the
/// tile; the columns from `used` on are undefined.
Value TiledAttention::transposedKeys(AffineMap map, Value used) {
  RotationTables tables =
      emitter.tables(b, Side::Key, map, used, /*transposed=*/true);
  Value x = op.getKey();
  int64_t pairs = op.getRotary().getNumPairs(), width = op.getHeadDim();
  OpFoldResult items = tensor::getMixedSize(b, b.getLoc(), x, 0);
  OpFoldResult heads = b.getIndexAttr(op.getNumKVHeads());
  Value padded = mul(ceilDiv(used, tiles.keys), index(tiles.keys));
  SmallVector<OpFoldResult> shape = {items, heads, b.getIndexAttr(width),
                                     padded};
  Value result = tensor::EmptyOp::create(b, shape, f32);
  SmallVector<OpFoldResult> ones(4, b.getIndexAttr(1));
  auto part = [&](int64_t first, int64_t count) -> Value {
    SmallVector<OpFoldResult> offsets(4, b.getIndexAttr(0));
    offsets[3] = b.getIndexAttr(first);
    SmallVector<OpFoldResult> sizes = {items, heads, used,
                                       b.getIndexAttr(count)};
    return tensor::ExtractSliceOp::create(b, x, offsets, sizes, ones);
  };
  AffineExpr d0, d1, d2, d3;
  bindDims(b.getContext(), d0, d1, d2, d3);
  AffineExpr zero = b.getAffineConstantExpr(0);
  auto tableType = cast<RankedTensorType>(tables.cosine.getType());
  AffineMap identity = b.getMultiDimIdentityMap(4);
  AffineMap swapped = AffineMap::get(4, 0, {d0, d1, d3, d2}, b.getContext());
  AffineMap tableMap =
      AffineMap::get(4, 0,
                     {tableType.getDimSize(0) == 1 ? zero : d0,
                      tableType.getDimSize(1) == 1 ? zero : d1, d2, d3},
                     b.getContext());
  SmallVector<utils::IteratorType> iterators(4, utils::IteratorType::parallel);
  // kind: 0 the first halves of pairs, 1 the second halves, 2 not rotated.
  auto rows = [&](int64_t first, int64_t count, unsigned kind) {
    SmallVector<OpFoldResult> offsets(4, b.getIndexAttr(0));
    offsets[2] = b.getIndexAttr(first);
    SmallVector<OpFoldResult> sizes = {items, heads, b.getIndexAttr(count),
                                       used};
    Value init =
        tensor::ExtractSliceOp::create(b, result, offsets, sizes, ones);
    SmallVector<Value> inputs = {part(first, count)};
    SmallVector<AffineMap> maps = {swapped};
    if (kind != 2) {
      inputs.append(
          {part(kind == 0 ? pairs : 0, pairs), tables.cosine, tables.sine});
      maps.append({swapped, tableMap, tableMap});
    }
    maps.push_back(identity);
    auto generic = linalg::GenericOp::create(
        b, init.getType(), inputs, ValueRange{init}, maps, iterators,
        [&](OpBuilder &nested, Location loc, ValueRange args) {
          Value value = emitFloatCast(nested, loc, args[0], f32);
          if (kind != 2) {
            Value other = emitFloatCast(nested, loc, args[1], f32);
            value = arith::MulFOp::create(nested, loc, value, args[2]);
            other = arith::MulFOp::create(nested, loc, other, args[3]);
            value = kind == 0 ? arith::SubFOp::create(nested, loc, value, other)
                                    .getResult()
                              : arith::AddFOp::create(nested, loc, value, other)
                                    .getResult();
          }
          linalg::YieldOp::create(nested, loc, value);
        });
    result = tensor::InsertSliceOp::create(b, generic.getResult(0), result,
                                           offsets, sizes, ones);
  };
  rows(0, pairs, 0);
  rows(pairs, pairs, 1);
  if (width > 2 * pairs)
    rows(2 * pairs, width - 2 * pairs, 2);
  return result;
}

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

SmallVector<Value> TiledAttention::run() {
  Value used = longestKeys();
  for (AffineMap map : emitter.distinctMaps(Side::Key))
    keysOf[map] = transposedKeys(map, used);
  for (AffineMap map : emitter.distinctMaps(Side::Query))
    queryTables[map] = emitter.tables(b, Side::Query, map);

  Value rows = tensor::DimOp::create(b, op.getQuery(), 2);
  Value items = tensor::DimOp::create(b, op.getQuery(), 0);
  Value heads = index(op.getNumQueryHeads());
  Value tilesOfQueries = ceilDiv(rows, tiles.queries);
  Value count = mul(mul(items, heads), tilesOfQueries);
  auto parallel =
      scf::ForallOp::create(b, ArrayRef<OpFoldResult>{OpFoldResult(count)},
                            op.getOutputs(), std::nullopt);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(parallel.getBody());
    Value flat = parallel.getInductionVar(0);
    // The last tiles have most keys and go first.
    Value perTile = mul(items, heads);
    Value number = arith::DivUIOp::create(b, flat, perTile);
    Value rest = arith::RemUIOp::create(b, flat, perTile);
    TileIndex at;
    number = sub(sub(tilesOfQueries, index(1)), number);
    at.item = arith::DivUIOp::create(b, rest, heads);
    at.head = arith::RemUIOp::create(b, rest, heads);
    at.kvHead = arith::DivUIOp::create(b, at.head, index(emitter.groupSize()));
    at.row = mul(number, index(tiles.queries));
    at.count = least(index(tiles.queries), sub(rows, at.row));
    at.end = mul(ceilDiv(at.count, tiles.rows), index(tiles.rows));
    auto outputs = parallel.getRegionIterArgs();
    SmallVector<Value> results =
        tile(at, SmallVector<Value>(outputs.begin(), outputs.end()));

    OpFoldResult one = b.getIndexAttr(1), zero = b.getIndexAttr(0);
    for (auto [result, target] : llvm::zip_equal(results, outputs)) {
      auto type = cast<RankedTensorType>(result.getType());
      SmallVector<OpFoldResult> offsets(type.getRank(), zero);
      SmallVector<OpFoldResult> strides(type.getRank(), one);
      SmallVector<OpFoldResult> sizes = {at.count};
      SmallVector<OpFoldResult> to = {at.item, at.head, at.row};
      SmallVector<OpFoldResult> extent = {one, one, at.count};
      if (type.getRank() == 2) {
        sizes.push_back(b.getIndexAttr(op.getValueDim()));
        to.push_back(zero);
        extent.push_back(b.getIndexAttr(op.getValueDim()));
      }
      Value part =
          tensor::ExtractSliceOp::create(b, result, offsets, sizes, strides);
      OpBuilder::InsertionGuard inner(b);
      b.setInsertionPointToEnd(parallel.getTerminator().getBody());
      tensor::ParallelInsertSliceOp::create(
          b, part, target, to, extent,
          SmallVector<OpFoldResult>(to.size(), one));
    }
  }
  return parallel.getResults();
}

struct TileAttentionPass final
    : ropewalk::impl::TileAttentionPassBase<TileAttentionPass> {
  using Base::Base;

  void runOnOperation() override {
    Tiles tiles;
    tiles.width = vectorBytes / 4;
    tiles.rows = vectorBytes == 64 ? 8 : 4;
    tiles.queries = tileQueries;
    tiles.keys = tileKeys;
    if (vectorBytes != 16 && vectorBytes != 32 && vectorBytes != 64) {
      emitError(getOperation()->getLoc(),
                "vector-bytes must be 16, 32 or 64, got ")
          << vectorBytes.getValue();
      return signalPassFailure();
    }
    if (tiles.queries <= 0 || tiles.queries % 8 || tiles.keys <= 0 ||
        tiles.keys % (2 * tiles.width)) {
      emitError(getOperation()->getLoc(),
                "tile-queries must be a multiple of 8 and "
                "tile-keys a multiple of ")
          << 2 * tiles.width << ", got " << tileQueries.getValue() << " and "
          << tileKeys.getValue();
      return signalPassFailure();
    }
    SmallVector<rope::AttentionOp> ops;
    getOperation()->walk([&](rope::AttentionOp op) { ops.push_back(op); });
    IRRewriter rewriter(&getContext());
    for (rope::AttentionOp op : ops) {
      rewriter.setInsertionPoint(op);
      TiledAttention lowering(op, tiles, rewriter);
      if (std::optional<StringRef> reason = lowering.reasonAgainst()) {
        op->emitRemark("rope.attention is not tiled: ") << *reason;
        continue;
      }
      rewriter.replaceOp(op, lowering.run());
    }
  }
};

} // namespace

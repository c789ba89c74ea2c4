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
#include "TiledAttention.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace ropewalk {
#define GEN_PASS_DEF_TILEATTENTIONPASS
#include "Ropewalk/Codegen/CPU/Passes.h.inc"
} // namespace ropewalk

using namespace mlir;
using namespace ropewalk;
using namespace ropewalk::cpu;

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

namespace {

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

//===- TiledAttention.h - Emission of tiled attention ----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The state of the lowering of one rope.attention by rope-tile-attention.
// TileAttention.cpp emits what stands around the tiles, TileSegments.cpp which
// keys a tile visits, TileKernels.cpp the vector loops on a tile of keys.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_CODEGEN_CPU_TILEDATTENTION_H
#define ROPEWALK_LIB_CODEGEN_CPU_TILEDATTENTION_H

#include "Ropewalk/Transforms/AttentionEmission.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"

namespace ropewalk::cpu {

struct Tiles {
  /// Queries and keys of a tile.
  int64_t queries, keys;
  /// f32 elements of a vector, and rows whose sums are in registers at once.
  int64_t width, rows;
};

/// What the loop over tiles of keys carries, all f32.
struct State {
  mlir::Value maximum;     ///< [TQ]
  mlir::Value denominator; ///< [TQ]
  mlir::Value sums;        ///< [TQ, Dv]
  mlir::Value scores;      ///< [TQ, TK], a scratch buffer
  mlir::Value correction;  ///< [TQ], a scratch buffer

  mlir::SmallVector<mlir::Value> list() const {
    return {maximum, denominator, sums, scores, correction};
  }
  static State from(mlir::ValueRange values) {
    return {values[0], values[1], values[2], values[3], values[4]};
  }
};

/// Where a tile of queries is.
struct TileIndex {
  mlir::Value item, head, kvHead;
  mlir::Value row;   ///< of its first query
  mlir::Value count; ///< of its queries
  mlir::Value end;   ///< count rounded up to whole register tiles
};

/// The keys that the rows of a tile see in one segment, as columns of K.
struct Bounds {
  mlir::Value low, high; ///< [TQ] i32
  mlir::Value least,
      beyond; ///< over all rows; an empty range if least >= beyond
};

class TiledAttention {
public:
  TiledAttention(rope::AttentionOp op, Tiles tiles,
                 mlir::RewriterBase &rewriter)
      : op(op), tiles(tiles), b(op.getLoc(), rewriter), emitter(op),
        f32(b.getF32Type()) {}

  /// Why this form does not cover the operation, or nothing.
  std::optional<mlir::StringRef> reasonAgainst();
  mlir::SmallVector<mlir::Value> run();

private:
  mlir::Value index(int64_t value) {
    return mlir::arith::ConstantIndexOp::create(b, value);
  }
  mlir::Value real(double value) {
    return mlir::arith::ConstantOp::create(b, b.getF32FloatAttr(value));
  }
  mlir::Value splat(mlir::Value scalar, int64_t width) {
    return mlir::vector::BroadcastOp::create(
        b, mlir::VectorType::get({width}, scalar.getType()), scalar);
  }
  mlir::Value add(mlir::Value x, mlir::Value y) {
    return mlir::arith::AddIOp::create(b, x, y);
  }
  mlir::Value sub(mlir::Value x, mlir::Value y) {
    return mlir::arith::SubIOp::create(b, x, y);
  }
  mlir::Value mul(mlir::Value x, mlir::Value y) {
    return mlir::arith::MulIOp::create(b, x, y);
  }
  mlir::Value least(mlir::Value x, mlir::Value y) {
    return mlir::arith::MinSIOp::create(b, x, y);
  }
  mlir::Value most(mlir::Value x, mlir::Value y) {
    return mlir::arith::MaxSIOp::create(b, x, y);
  }
  mlir::Value ceilDiv(mlir::Value x, int64_t y) {
    return mlir::arith::DivUIOp::create(b, add(x, index(y - 1)), index(y));
  }
  mlir::Value read(mlir::Value tensor, mlir::ValueRange indices, int64_t width,
                   bool inBounds = true);
  mlir::Value write(mlir::Value vector, mlir::Value tensor,
                    mlir::ValueRange indices);
  mlir::Value get(mlir::Value tensor, mlir::ValueRange indices) {
    return mlir::tensor::ExtractOp::create(b, tensor, indices);
  }
  mlir::Value set(mlir::Value scalar, mlir::Value tensor,
                  mlir::ValueRange indices) {
    return mlir::tensor::InsertOp::create(b, scalar, tensor, indices);
  }
  mlir::Value scratch(mlir::ArrayRef<int64_t> shape, mlir::Type type) {
    return mlir::tensor::EmptyOp::create(b, shape, type);
  }
  mlir::Value filled(mlir::ArrayRef<int64_t> shape, mlir::Value value) {
    mlir::Value empty = scratch(shape, value.getType());
    return mlir::linalg::FillOp::create(b, value, empty).getResult(0);
  }
  /// A loop that carries values; the body returns their next values.
  mlir::SmallVector<mlir::Value>
  loop(mlir::Value from, mlir::Value to, int64_t step, mlir::ValueRange carried,
       llvm::function_ref<mlir::SmallVector<mlir::Value>(mlir::Value,
                                                         mlir::ValueRange)>
           body);

  mlir::Value longestKeys();
  mlir::Value transposedKeys(mlir::AffineMap map, mlir::Value used);
  mlir::Value rotatedQueries(mlir::AffineMap map, RotationTables tables,
                             const TileIndex &at);
  mlir::SmallVector<Bounds> bounds(const TileIndex &at);
  mlir::Value scores(mlir::Value queries, mlir::Value keys,
                     mlir::Value firstKey, mlir::Value into,
                     const TileIndex &at);
  State softmax(State state, const Bounds &bounds, mlir::Value firstKey,
                const TileIndex &at);
  mlir::Value bias(const TileIndex &at, mlir::Value row, mlir::Value column);
  State accumulate(State state, mlir::Value from, mlir::Value to,
                   mlir::Value firstKey, const TileIndex &at);
  State attend(const TileIndex &at, const Bounds &bounds, mlir::Value queries,
               mlir::Value keys, State state);
  mlir::SmallVector<mlir::Value> tile(const TileIndex &at,
                                      mlir::ValueRange outputs);

  rope::AttentionOp op;
  Tiles tiles;
  mlir::ImplicitLocOpBuilder b;
  AttentionEmitter emitter;
  mlir::FloatType f32;
  llvm::SmallMapVector<mlir::AffineMap, mlir::Value, 2> keysOf;
  llvm::SmallMapVector<mlir::AffineMap, RotationTables, 2> queryTables;
};

} // namespace ropewalk::cpu

#endif // ROPEWALK_LIB_CODEGEN_CPU_TILEDATTENTION_H

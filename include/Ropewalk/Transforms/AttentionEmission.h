//===- AttentionEmission.h - Parts of lowered attention --------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What every lowering of rope.attention to tensors emits: positions, the values
// of map parameters, segment bounds, tables of cos and sin, rotations. All
// integer values are of type index, which is 64 bits wide.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_TRANSFORMS_ATTENTIONEMISSION_H
#define ROPEWALK_TRANSFORMS_ATTENTIONEMISSION_H

#include "Ropewalk/IR/Rope.h"
#include "mlir/IR/Builders.h"

namespace ropewalk {

/// cos and sin of rotation angles, both [B|1, H|1, S, P], multiplied by the
/// rotary's factor.
struct RotationTables {
  mlir::Value cosine;
  mlir::Value sine;
};

/// Which side of the attention a table or a position belongs to.
enum class Side { Query, Key };

/// The minimum of the results of `map` at `position`, with `symbols` the values
/// of all its symbols.
mlir::Value emitMinimum(mlir::OpBuilder &b, mlir::Location loc,
                        mlir::AffineMap map, mlir::Value position,
                        mlir::ValueRange symbols);

/// Converts a float to `type`.
mlir::Value emitFloatCast(mlir::OpBuilder &b, mlir::Location loc,
                          mlir::Value value, mlir::Type type);

/// `x` [B, H, S, D] rotated with tables of [B|1, H'|1, S, P], where
/// H = headsPerTable * H', as a tensor of `elementType`. Dimensions beyond 2 P
/// are copied.
mlir::Value emitRotation(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x,
                         RotationTables tables, int64_t headsPerTable,
                         mlir::FloatType elementType);

/// Tables for `rotary` at positions [B|1, S] (i64).
RotationTables emitRotationTables(mlir::OpBuilder &b, mlir::Location loc,
                                  rope::RotaryAttr rotary,
                                  mlir::Value positions,
                                  mlir::FloatType elementType);

/// Emits the parts of one rope.attention.
class AttentionEmitter {
public:
  AttentionEmitter(rope::AttentionOp op);

  /// f64 if the query is, f32 otherwise.
  mlir::FloatType computeType() const { return type; }
  llvm::ArrayRef<rope::Segment> segments() const { return segmentList; }
  /// Query heads of a KV head.
  int64_t groupSize() const {
    return op.getNumQueryHeads() / op.getNumKVHeads();
  }

  /// The distinct maps of one side, in the order of the segments. Masked
  /// segments have none.
  llvm::SmallVector<mlir::AffineMap> distinctMaps(Side side) const;

  /// The values of all parameters of the map for a batch item, a KV head and a
  /// pair. `pair` is null where no rotation is concerned: parameters with an
  /// axis of pairs then have their minimum as a stand-in, no cut uses them.
  llvm::SmallVector<mlir::Value> parameters(mlir::OpBuilder &b,
                                            mlir::Value item, mlir::Value head,
                                            mlir::Value pair) const;

  /// The value of an operand that is i64 or tensor<B x i64>, 0 if it is absent.
  mlir::Value perItem(mlir::OpBuilder &b, mlir::Value operand,
                      mlir::Value item) const;

  /// Slot of row 0 of the queries, or of column 0 of the keys.
  mlir::Value firstSlot(mlir::OpBuilder &b, Side side, mlir::Value item) const;
  /// Position of a query row or of a key column.
  mlir::Value position(mlir::OpBuilder &b, Side side, mlir::Value item,
                       mlir::Value index) const;

  /// First key position of every segment for a query at `position`, clamped
  /// to [0, the one before].
  llvm::SmallVector<mlir::Value> cuts(mlir::OpBuilder &b, mlir::Value position,
                                      mlir::ValueRange parameters) const;
  /// Where the first segment ends: position + 1 if causal, or 2^62.
  mlir::Value newestEnd(mlir::OpBuilder &b, mlir::Value position) const;

  /// Tables of `map` for the first `count` rows of the side (null: all of
  /// them): [B|1, Hkv|1, S, P], or [B|1, Hkv|1, P, S] if `transposed`.
  RotationTables tables(mlir::OpBuilder &b, Side side, mlir::AffineMap map,
                        mlir::OpFoldResult count = {},
                        bool transposed = false) const;

private:
  /// Whether the positions of a side, under `map`, depend on the batch item.
  bool dependsOnItem(Side side, mlir::AffineMap map) const;
  /// Whether the angles of `map` depend on the KV head.
  bool dependsOnHead(mlir::AffineMap map) const;

  mutable rope::AttentionOp op;
  mlir::Location loc;
  mlir::FloatType type;
  llvm::SmallVector<rope::MapParameter> parameterList;
  llvm::SmallVector<rope::Segment> segmentList;
};

} // namespace ropewalk

#endif // ROPEWALK_TRANSFORMS_ATTENTIONEMISSION_H

//===- GraphBuilder.h - typed pieces of a model's graph ---------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Builds the layers of a transformer from upstream dialects. Activations are
// f32 and two-dimensional, [M, C] with one row per token of the batch; weights
// are operands in the type that the checkpoint stores, extended where they are
// read. Each helper gives its ops one location, the name of the layer.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_IMPORT_GRAPHBUILDER_H
#define ROPEWALK_LIB_IMPORT_GRAPHBUILDER_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"

namespace ropewalk {

class GraphBuilder {
public:
  explicit GraphBuilder(mlir::OpBuilder &builder) : builder(builder) {}

  /// Sets the sizes that all layers share: `batch` (B), `sequence` (S) and
  /// `rows` = B * S, each of type index; and makes the constants they share.
  void setSizes(mlir::Location loc, mlir::Value batch, mlir::Value sequence,
                mlir::Value rows);

  /// [M] i32 ids and a [V, C] table to [M, C].
  mlir::Value embedding(mlir::Location loc, mlir::Value ids, mlir::Value table);

  /// [M, C] and [C] to [M, C]: x / sqrt(mean(x^2) + epsilon) * weight.
  mlir::Value rmsNorm(mlir::Location loc, mlir::Value x, mlir::Value weight,
                      double epsilon);

  /// [M, K] and [N, K] to [M, N]; `bias`, which may be null, is [N].
  mlir::Value linear(mlir::Location loc, mlir::Value x, mlir::Value weight,
                     mlir::Value bias);

  /// silu(gate) * up of two [M, C].
  mlir::Value swiglu(mlir::Location loc, mlir::Value gate, mlir::Value up);

  /// Sum of two tensors of one shape.
  mlir::Value add(mlir::Location loc, mlir::Value lhs, mlir::Value rhs);

  /// [B * S, H * D] to [B, H, S, D].
  mlir::Value splitHeads(mlir::Location loc, mlir::Value x, int64_t heads,
                         int64_t headDim);

  /// [B, H, S, D] to [B * S, H * D].
  mlir::Value mergeHeads(mlir::Location loc, mlir::Value x);

  /// [B * S, C] to [B, S, C].
  mlir::Value splitRows(mlir::Location loc, mlir::Value x);

  /// [B] i64 plus a scalar i64.
  mlir::Value addScalar(mlir::Location loc, mlir::Value vector,
                        mlir::Value scalar);

  /// An uninitialized [B, heads, S, headDim] f32 tensor.
  mlir::Value emptyHeads(mlir::Location loc, int64_t heads, int64_t headDim);

private:
  using Body =
      llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::ValueRange)>;

  /// linalg.generic over the dimensions of `init`, all parallel; `maps` has one
  /// map per input.
  mlir::Value elementwise(mlir::Location loc, mlir::Value init,
                          mlir::ValueRange inputs,
                          llvm::ArrayRef<mlir::AffineMap> maps, Body body);

  /// (m, c) -> (m, c), (m) and (c).
  mlir::AffineMap both();
  mlir::AffineMap row();
  mlir::AffineMap column();

  /// An uninitialized [M, columns] f32 tensor, or [M] without columns.
  mlir::Value emptyRows(mlir::Location loc,
                        std::optional<int64_t> columns = std::nullopt);
  mlir::Value zeroRows(mlir::Location loc,
                       std::optional<int64_t> columns = std::nullopt);

  mlir::OpBuilder &builder;
  mlir::Value batch, sequence, rows, zero;
};

} // namespace ropewalk

#endif // ROPEWALK_LIB_IMPORT_GRAPHBUILDER_H

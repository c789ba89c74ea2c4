//===- Passes.td - Transformations of graphs --------- -*- tablegen -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_TRANSFORMS_PASSES_TD
#define ROPEWALK_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def DecomposeAttentionPass : Pass<"rope-decompose-attention"> {
  let summary = "replace rope.attention by its definition on tensors";
  let description = [{
    Rewrites every `rope.attention` into linalg, arith and math on tensors. The
    result is the definition of the operation, for any position map: for each
    distinct key position and query position of the map's segments a table of
    cos and sin and one rotation, for each pair of them one tensor of scores,
    the choice between them for each element by the segments, and one softmax.

    Angles are made in float64 and rounded to the type of the computation, which
    is f64 if the query is, and f32 otherwise. Scores are held for all queries
    and keys at once: `rope-tile-attention` makes code for long sequences.

    Numerics: this is the definition.
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
    "::mlir::tensor::TensorDialect"];
}

def DecomposeRotatePass : Pass<"rope-decompose-rotate"> {
  let summary = "replace rope.rotate by its definition on tensors";
  let description = [{
    Rewrites every `rope.rotate` into a table of cos and sin, made in float64,
    and an elementwise rotation.

    Numerics: this is the definition.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::math::MathDialect", "::mlir::tensor::TensorDialect"];
}

def DecomposeUpdateCachePass : Pass<"rope-decompose-update-cache"> {
  let summary = "replace rope.update_cache by insertions of slices";
  let description = [{
    Rewrites every `rope.update_cache` into a loop over the batch items that
    inserts the rows of an item into its slots, which bufferizes in place.

    Numerics: copies only.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect",
    "::mlir::tensor::TensorDialect"];
}

#endif // ROPEWALK_TRANSFORMS_PASSES_TD

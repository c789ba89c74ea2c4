//===- Passes.td - Raising of exported graphs -------- -*- tablegen -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_RAISE_PASSES_TD
#define ROPEWALK_RAISE_PASSES_TD

include "mlir/Pass/PassBase.td"

def RaiseAttentionPass : Pass<"rope-raise-attention", "::mlir::func::FuncOp"> {
  let summary = "find rotary attention in a graph of linalg on tensors";
  let description = [{
    Replaces causal self-attention with a rotary embedding, written in linalg on
    tensors, by `rope.attention` with the identity map over the un-rotated
    queries and keys, and erases what is dead afterwards.

    Dead operations are erased, and the function is analysed before anything
    else changes. Around every sum of
    exponentials over one dimension the pass works out what an element of the
    following product with the values is, as a scalar expression of elements of
    other tensors at affine indices. Reshapes, transposes, broadcasts, slices,
    concatenations and the boundaries between elementwise operations vanish in
    that form. An attention is raised where the expressions prove that
    - the weights are a softmax over the keys;
    - the scores are query times key, times one constant, plus a mask that is 0
      for keys j <= i and at most -1e30 for all others;
    - query and key are both rotated by the angle (own row or column) *
      theta^(-2c/D), with theta recovered from the constant frequencies;
    - query head h reads KV head h floordiv (Hq / Hkv);
    - scores and weights have no other use.

    Otherwise the attention stays as it is and, with `report-misses`, a remark says at which
    operation the proof failed and why. Static shapes only.

    ```mlir
    %cos = linalg.generic ... math.cos      %qr = linalg.generic ins(%q, %cos, ...)
    %s = linalg.batch_matmul ins(%qr, %kr)  %p = ... softmax of %s + mask ...
    %o = linalg.batch_matmul ins(%p, %v)
    // becomes
    %o = rope.attention #rope.identity rotary <theta = 1.0e4, dim = 16> scale 0.25
           causal query(%q : ...) key(%k : ...) value(%v : ...) outs(%init : ...)
    ```

    Preserves numerics: no, cos and sin may differ by rounding, because
    `rope.attention` makes angles in float64.
  }];
  let options = [
    Option<"reportMisses", "report-misses", "bool", "true",
           "emit a remark with the reason for each softmax that is not raised">,
    Option<"reportMatches", "report-matches", "bool", "false",
           "emit a remark for each attention that is raised">];
  let dependentDialects = [
    "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect",
    "::ropewalk::rope::RopeDialect"];
}

#endif // ROPEWALK_RAISE_PASSES_TD

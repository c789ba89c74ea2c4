//===- AttentionMatch.h - Rotary attention in a graph ----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The analysis behind rope-raise-attention. It changes nothing: its result says
// which tensors hold the un-rotated query, key and value of an attention and
// with which parameters, or at which operation the proof fails and why.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_RAISE_ATTENTIONMATCH_H
#define ROPEWALK_RAISE_ATTENTIONMATCH_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Value.h"

#include <string>
#include <variant>

namespace ropewalk {

/// A tensor that is a query, key or value [B, H, S, D] once its axes are
/// permuted: axis i of the operand is axis `permutation[i]` of `tensor`. -1
/// stands for an axis of size 1 that the tensor does not have.
struct AttentionOperand {
  mlir::Value tensor;
  llvm::SmallVector<int64_t, 4> permutation;
};

/// A causal attention with rotary embedding in half layout at positions 0, 1, 2
/// ... of queries and of keys.
struct AttentionMatch {
  /// The product of weights and values.
  mlir::linalg::LinalgOp root;
  /// query [B, Hq, Sq, D], key [B, Hkv, Skv, D], value [B, Hkv, Skv, Dv], all
  /// un-rotated.
  AttentionOperand query, key, value;
  /// [B, Hq, Sq, Dv].
  llvm::SmallVector<int64_t, 4> outputShape;
  /// What each axis of the root's result is: a run of axes of the output.
  llvm::SmallVector<llvm::SmallVector<int64_t, 2>> resultAxes;
  int64_t numKVHeads = 0;
  /// Base of the frequencies theta^(-2c/D); all D dimensions are rotated.
  double theta = 0;
  double scale = 1;
};

/// Why an attention was not recognised.
struct AttentionMiss {
  /// Where the proof failed.
  mlir::Operation *operation = nullptr;
  std::string reason;
};

using AttentionResult = std::variant<AttentionMatch, AttentionMiss>;

/// True if `op` sums exponentials over one dimension, or is linalg.softmax:
/// what every softmax has and little else.
bool isSoftmaxSum(mlir::Operation *op);

/// Matches the attention around `softmaxSum`, for which isSoftmaxSum holds.
AttentionResult matchAttention(mlir::Operation *softmaxSum);

} // namespace ropewalk

#endif // ROPEWALK_RAISE_ATTENTIONMATCH_H

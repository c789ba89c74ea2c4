//===- Matmul.cpp - Contractions --------------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// out[m, n] = sum over k of lhs[m, k] * rhs[n, k], accumulated in f32.
//
// Tiled form: a block of 256 threads owns 64 x 64 outputs, a thread 4 x 4 of
// them: rows 4 ty + 0..3 and columns tx + 16 j, so that the loads of a
// quarter-warp from a shared tile with rows of 16 + 4 floats meet all banks
// once. Steps of 16 along k; the next step's operands travel from global memory
// to registers while this step computes.
//
// Matvec form, for few rows: a warp owns one column of one row, its lanes
// stride along k, and five shuffles add up.
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"

using namespace mlir;
using namespace ropewalk::codegen;

namespace {

constexpr int64_t kStep = 16;
/// Floats of a row in shared memory.
constexpr int64_t kPitch = kStep + 4;

/// Four elements of row `row` from column `column` on as f32, zero from
/// `columns` on.
Val loadFour(KernelBuilder &k, Val pointer, Val row, Val column, Val columns,
             Type type, unsigned vector) {
  Val base = k.toI64(row) * k.toI64(columns) + k.toI64(column);
  Vals elements;
  for (unsigned i = 0; i < 4; i += vector) {
    Val inside = column + i < columns;
    Val loaded = k.ifElse(
        inside,
        [&]() -> Vals { return {k.load(pointer, base + i, type, vector)}; },
        [&]() -> Vals { return {k.zeros(type, vector)}; })[0];
    for (Val element : k.unpack(loaded))
      elements.push_back(k.extendToF32(element));
  }
  return k.pack(elements);
}

void buildTiled(KernelBuilder &k, const MatmulKernel &kernel, Val lhs, Val rhs,
                Val out, Val m, Val n, Val depth) {
  Val thread = k.threadId();
  Val row0 = k.blockId(1) * MatmulKernel::kTile;
  Val column0 = k.blockId(0) * MatmulKernel::kTile;
  Val sharedLhs = k.shared(MatmulKernel::kTile * kPitch * 4);
  Val sharedRhs = k.shared(MatmulKernel::kTile * kPitch * 4);

  // Each thread moves four elements of one row of either tile.
  Val loadRow = thread / 4, loadColumn = thread % 4 * 4;
  Val lhsRow = k.min(row0 + loadRow, m - 1);
  Val rhsRow = k.min(column0 + loadRow, n - 1);
  auto fetch = [&](Val start) -> Vals {
    return {loadFour(k, lhs, lhsRow, start + loadColumn, depth, k.f32Type(),
                     kernel.vectorK),
            loadFour(k, rhs, rhsRow, start + loadColumn, depth, kernel.rhsType,
                     kernel.vectorK)};
  };

  Val ty = thread / 16, tx = thread % 16;
  Vals carried = fetch(k.i32(0));
  for (int i = 0; i < 16; ++i)
    carried.push_back(k.f32(0.0));
  Vals sums = k.loop(
      k.i32(0), depth, k.i32(kStep), carried, [&](Val start, ArrayRef<Val> in) {
        Val slot = loadRow * kPitch + loadColumn;
        k.store(in[0], sharedLhs, slot);
        k.store(in[1], sharedRhs, slot);
        k.barrier();
        Vals next = fetch(start + kStep);
        Vals acc(in.drop_front(2));
        for (int64_t step = 0; step < kStep; step += 4) {
          Vals left, right;
          for (int i = 0; i < 4; ++i) {
            left.push_back(k.load(sharedLhs, (ty * 4 + i) * kPitch + step,
                                  k.f32Type(), 4));
            right.push_back(k.load(sharedRhs, (tx + 16 * i) * kPitch + step,
                                   k.f32Type(), 4));
          }
          for (int c = 0; c < 4; ++c)
            for (int i = 0; i < 4; ++i)
              for (int j = 0; j < 4; ++j)
                acc[4 * i + j] = k.fma(k.extract(left[i], c),
                                       k.extract(right[j], c), acc[4 * i + j]);
        }
        k.barrier();
        next.append(acc);
        return next;
      });

  for (int i = 0; i < 4; ++i) {
    Val row = row0 + ty * 4 + i;
    for (int j = 0; j < 4; ++j) {
      Val column = column0 + tx + 16 * j;
      k.ifThen((row < m) & (column < n), [&] {
        k.store(sums[2 + 4 * i + j], out,
                k.toI64(row) * k.toI64(n) + k.toI64(column));
      });
    }
  }
}

void buildMatvec(KernelBuilder &k, const MatmulKernel &kernel, Val lhs, Val rhs,
                 Val out, Val n, Val depth) {
  Val thread = k.threadId();
  Val lane = thread % 32;
  Val column = k.blockId(0) * MatmulKernel::kMatvecColumns + thread / 32;
  Val row = k.blockId(1);
  unsigned vector = kernel.vectorK;
  // The branch is uniform in a warp, so the shuffles inside see all lanes.
  k.ifThen(column < n, [&] {
    Val lhsBase = k.toI64(row) * k.toI64(depth);
    Val rhsBase = k.toI64(column) * k.toI64(depth);
    Val sum =
        k.loop(lane * vector, depth, k.i32(32 * vector), {k.f32(0.0)},
               [&](Val at, ArrayRef<Val> in) -> Vals {
                 Val left =
                     k.load(lhs, lhsBase + k.toI64(at), k.f32Type(), vector);
                 Val right =
                     k.load(rhs, rhsBase + k.toI64(at), kernel.rhsType, vector);
                 Val acc = in[0];
                 for (unsigned i = 0; i < vector; ++i)
                   acc = k.fma(k.extract(left, i),
                               k.extendToF32(k.extract(right, i)), acc);
                 return {acc};
               })[0];
    for (unsigned mask = 16; mask > 0; mask /= 2)
      sum = sum + k.shuffleXor(sum, mask);
    k.ifThen(lane == 0, [&] {
      k.store(sum, out, k.toI64(row) * k.toI64(n) + k.toI64(column));
    });
  });
}

} // namespace

std::string MatmulKernel::key() const {
  return (isMatvec ? "matvec " : "matmul ") + text(rhsType) + " k" +
         std::to_string(vectorK);
}

KernelInfo MatmulKernel::build(gpu::GPUModuleOp module, StringRef name) const {
  KernelBuilder k(module, name, 256);
  Val lhs = k.pointerParam("lhs", true), rhs = k.pointerParam("rhs", true),
      out = k.pointerParam("out", false);
  Val m = k.i32Param("m"), n = k.i32Param("n"), depth = k.i32Param("k");
  if (isMatvec)
    buildMatvec(k, *this, lhs, rhs, out, n, depth);
  else
    buildTiled(k, *this, lhs, rhs, out, m, n, depth);
  KernelInfo info = k.finish();
  info.summary = "out[m,n] = sum lhs[m,k] rhs[n,k], rhs " + text(rhsType);
  return info;
}

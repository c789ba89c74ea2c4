//===- mma.cu - Matrix multiplication with a copy pipeline -----*- CUDA -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// C = A B^T in half precision with single-precision sums, A [rows, inner] and
// B [columns, inner] row-major, any extents with an inner one that is a
// multiple of 8. A block of 4 warps computes 64 x 64 elements, a warp 32 x 32.
// Three stages of 64 x 32 elements of A and B are under way at a time; the
// 16-byte chunks of a row are permuted so that ldmatrix meets no bank twice.
//
//===----------------------------------------------------------------------===//

#include <cuda_fp16.h>

constexpr int Block = 64, Depth = 32, Stages = 3;
constexpr int StageBytes = Block * Depth * 2;

/// The byte of row and chunk (of 8 elements) in a stage.
__device__ unsigned swizzle(int row, int chunk) {
  return row * 64 + ((chunk ^ (row / 2)) & 3) * 16;
}

__device__ void copyStage(unsigned to, const __half *from, int first, int rows,
                          int k, int inner) {
  // 256 chunks, two a thread. Rows and columns outside are filled with zeros.
  for (int i = threadIdx.x; i < Block * Depth / 8; i += blockDim.x) {
    const int row = i / 4, chunk = i % 4;
    const bool inside = first + row < rows && k + 8 * chunk < inner;
    const __half *source =
        inside ? from + size_t(first + row) * inner + k + 8 * chunk : from;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                     to + swizzle(row, chunk)),
                 "l"(source), "r"(inside ? 16 : 0)
                 : "memory");
  }
}

__device__ void loadMatrices(unsigned (&to)[4], unsigned from) {
  asm volatile(
      "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
      : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
      : "r"(from)
      : "memory");
}

__device__ void multiply(float (&sum)[4], const unsigned (&a)[4], unsigned b0,
                         unsigned b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
               "{%0, %1, %2, %3};"
               : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

extern "C" __global__ void __launch_bounds__(128)
    mma_half(const __half *a, const __half *b, float *c, int rows, int columns,
             int inner) {
  __shared__ __align__(128) char stages[2][Stages][StageBytes];
  const unsigned left = __cvta_generic_to_shared(stages[0]);
  const unsigned right = __cvta_generic_to_shared(stages[1]);
  const int firstRow = blockIdx.y * Block, firstColumn = blockIdx.x * Block;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int warpRow = warp / 2 * 32, warpColumn = warp % 2 * 32;
  const int steps = (inner + Depth - 1) / Depth;
  float sums[2][4][4] = {};

  auto copy = [&](int step) {
    if (step < steps) {
      const unsigned offset = step % Stages * StageBytes;
      copyStage(left + offset, a, firstRow, rows, step * Depth, inner);
      copyStage(right + offset, b, firstColumn, columns, step * Depth, inner);
    }
    // Empty at the end, so that the count of groups stays the step's.
    asm volatile("cp.async.commit_group;" ::: "memory");
  };
  for (int step = 0; step < Stages - 1; ++step)
    copy(step);

  for (int step = 0; step < steps; ++step) {
#ifdef PLANT_EARLY_READ
    asm volatile("cp.async.wait_group 2;" ::: "memory");
#else
    asm volatile("cp.async.wait_group 1;" ::: "memory");
#endif
    __syncthreads();
    copy(step + Stages - 1);
    const unsigned offset = step % Stages * StageBytes;
    for (int k = 0; k < Depth / 8; k += 2) {
      unsigned fragmentA[2][4], fragmentB[2][4];
      for (int i = 0; i < 2; ++i) {
        // Rows 0-7, 8-15 of chunk k, then of chunk k + 1.
        loadMatrices(fragmentA[i],
                     left + offset +
                         swizzle(warpRow + 16 * i + lane % 16, k + lane / 16));
        // Columns 0-7 of chunks k and k + 1, then columns 8-15.
        loadMatrices(fragmentB[i],
                     right + offset +
                         swizzle(warpColumn + 16 * i + lane / 16 * 8 + lane % 8,
                                 k + lane / 8 % 2));
      }
      for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 4; ++j)
          multiply(sums[i][j], fragmentA[i], fragmentB[j / 2][j % 2 * 2],
                   fragmentB[j / 2][j % 2 * 2 + 1]);
    }
  }

  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 4; ++j)
      for (int half = 0; half < 2; ++half) {
        const int row = firstRow + warpRow + 16 * i + lane / 4 + 8 * half;
        const int column = firstColumn + warpColumn + 8 * j + lane % 4 * 2;
        for (int k = 0; k < 2; ++k)
          if (row < rows && column + k < columns)
            c[size_t(row) * columns + column + k] = sums[i][j][2 * half + k];
      }
}

//===- wmma.cu - Matrix multiplication by the wmma interface ---*- CUDA -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// C = A B, row-major: one warp computes a tile of 16 x 16. Rows and columns
// must be multiples of 16, the inner extent of 16 (8 for tf32).
//
//===----------------------------------------------------------------------===//

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <mma.h>

using namespace nvcuda;

template <typename Element, typename Storage, typename Sum, int Depth>
__device__ void multiply(const Storage *a, const Storage *b, Sum *c, int rows,
                         int columns, int inner) {
  const int row = 16 * blockIdx.y;
  const int column = 16 * (blockIdx.x * blockDim.y + threadIdx.y);
  if (column >= columns)
    return;
  wmma::fragment<wmma::matrix_a, 16, 16, Depth, Element, wmma::row_major> left;
  wmma::fragment<wmma::matrix_b, 16, 16, Depth, Element, wmma::row_major> right;
  wmma::fragment<wmma::accumulator, 16, 16, Depth, Sum> sum;
  wmma::fill_fragment(sum, Sum(0));
  for (int k = 0; k < inner; k += Depth) {
    wmma::load_matrix_sync(left, a + row * inner + k, inner);
    wmma::load_matrix_sync(right, b + k * columns + column, columns);
    if constexpr (Depth == 8) {
      for (float &value : left.x)
        value = wmma::__float_to_tf32(value);
      for (float &value : right.x)
        value = wmma::__float_to_tf32(value);
    }
    wmma::mma_sync(sum, left, right, sum);
  }
  wmma::store_matrix_sync(c + row * columns + column, sum, columns,
                          wmma::mem_row_major);
}

extern "C" {
__global__ void wmma_half(const __half *a, const __half *b, float *c, int rows,
                          int columns, int inner) {
  multiply<__half, __half, float, 16>(a, b, c, rows, columns, inner);
}
__global__ void wmma_half_sum(const __half *a, const __half *b, __half *c,
                              int rows, int columns, int inner) {
  multiply<__half, __half, __half, 16>(a, b, c, rows, columns, inner);
}
__global__ void wmma_bfloat16(const __nv_bfloat16 *a, const __nv_bfloat16 *b,
                              float *c, int rows, int columns, int inner) {
  multiply<__nv_bfloat16, __nv_bfloat16, float, 16>(a, b, c, rows, columns,
                                                    inner);
}
__global__ void wmma_tf32(const float *a, const float *b, float *c, int rows,
                          int columns, int inner) {
  multiply<wmma::precision::tf32, float, float, 8>(a, b, c, rows, columns,
                                                   inner);
}
__global__ void wmma_int8(const signed char *a, const signed char *b, int *c,
                          int rows, int columns, int inner) {
  multiply<signed char, signed char, int, 16>(a, b, c, rows, columns, inner);
}
}

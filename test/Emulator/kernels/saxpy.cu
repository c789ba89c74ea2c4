//===- saxpy.cu - a * x + y in 16-bit types --------------------*- CUDA -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Two elements a thread in one packed fma; an odd last element alone.
//
//===----------------------------------------------------------------------===//

#include <cuda_bf16.h>
#include <cuda_fp16.h>

template <typename Pair, typename T>
__device__ void saxpy(T a, const T *x, T *y, int count) {
  const int i = 2 * (blockIdx.x * blockDim.x + threadIdx.x);
  if (i + 1 < count) {
    Pair two = *reinterpret_cast<const Pair *>(x + i);
    Pair *to = reinterpret_cast<Pair *>(y + i);
    *to = __hfma2(Pair(a, a), two, *to);
  } else if (i < count) {
    y[i] = __hfma(a, x[i], y[i]);
  }
}

extern "C" {
__global__ void saxpy_half(__half a, const __half *x, __half *y, int count) {
  saxpy<__half2>(a, x, y, count);
}
__global__ void saxpy_bfloat16(__nv_bfloat16 a, const __nv_bfloat16 *x,
                               __nv_bfloat16 *y, int count) {
  saxpy<__nv_bfloat162>(a, x, y, count);
}
/// max(x, 0) + |y|, with the half types' own functions.
__global__ void relu_half(const __half2 *x, __half2 *y, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count)
    y[i] = __hadd2(__hmax2(x[i], __float2half2_rn(0.f)), __habs2(y[i]));
}
}

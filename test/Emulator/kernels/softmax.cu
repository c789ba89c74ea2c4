//===- softmax.cu - Softmax of rows ----------------------------*- CUDA -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One block a row; the row's maximum and sum go through shared memory.
//
//===----------------------------------------------------------------------===//

#include <math_constants.h>

template <typename Combine>
__device__ float reduceBlock(float value, float start, Combine combine) {
  __shared__ float parts[32];
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int distance = 16; distance > 0; distance /= 2)
    value = combine(value, __shfl_xor_sync(0xffffffffu, value, distance));
  __syncthreads(); // The last reduction's parts have been read.
  if (lane == 0)
    parts[warp] = value;
  __syncthreads();
  value = lane < blockDim.x / 32 ? parts[lane] : start;
  for (int distance = 16; distance > 0; distance /= 2)
    value = combine(value, __shfl_xor_sync(0xffffffffu, value, distance));
  return value;
}

template <bool Fast>
__device__ void softmaxRow(const float *in, float *out, int width) {
  in += size_t(blockIdx.x) * width;
  out += size_t(blockIdx.x) * width;
  float most = -CUDART_INF_F;
  for (int i = threadIdx.x; i < width; i += blockDim.x)
    most = fmaxf(most, in[i]);
  most = reduceBlock(most, -CUDART_INF_F,
                     [](float a, float b) { return fmaxf(a, b); });
  float sum = 0;
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    float power = Fast ? __expf(in[i] - most) : expf(in[i] - most);
    out[i] = power;
    sum += power;
  }
  sum = reduceBlock(sum, 0.f, [](float a, float b) { return a + b; });
  for (int i = threadIdx.x; i < width; i += blockDim.x)
    out[i] = Fast ? __fdividef(out[i], sum) : out[i] / sum;
}

extern "C" {
__global__ void softmax(const float *in, float *out, int width) {
  softmaxRow<false>(in, out, width);
}
__global__ void softmax_fast(const float *in, float *out, int width) {
  softmaxRow<true>(in, out, width);
}
}

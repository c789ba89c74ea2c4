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

enum Operation { Sum, Maximum };

__device__ float combine(Operation operation, float a, float b) {
  return operation == Sum ? a + b : fmaxf(a, b);
}

/// `parts` holds an element for each warp and is used over and over.
__device__ float reduceBlock(Operation operation, float value, float *parts) {
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int distance = 16; distance > 0; distance /= 2)
    value = combine(operation, value,
                    __shfl_xor_sync(0xffffffffu, value, distance));
  __syncthreads(); // The last reduction's parts have been read.
  if (lane == 0)
    parts[warp] = value;
  __syncthreads();
  value = parts[0];
  for (unsigned i = 1; i < blockDim.x / 32; ++i)
    value = combine(operation, value, parts[i]);
  return value;
}

template <bool Fast>
__device__ void softmaxRow(const float *in, float *out, int width) {
  __shared__ float parts[32];
  in += size_t(blockIdx.x) * width;
  out += size_t(blockIdx.x) * width;
  float most = -CUDART_INF_F;
  for (int i = threadIdx.x; i < width; i += blockDim.x)
    most = fmaxf(most, in[i]);
  most = reduceBlock(Maximum, most, parts);
  float sum = 0;
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    float power = Fast ? __expf(in[i] - most) : expf(in[i] - most);
    out[i] = power;
    sum += power;
  }
  sum = reduceBlock(Sum, sum, parts);
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

//===- reduce.cu - Sums over a grid ----------------------------*- CUDA -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The sum of an array by atomics on one word, and without floating-point
// atomics: the block that is last to finish adds up the sums of all blocks.
//
//===----------------------------------------------------------------------===//

template <typename T> __device__ T sumWarp(T value) {
  for (int distance = 16; distance > 0; distance /= 2)
    value += __shfl_down_sync(0xffffffffu, value, distance);
  return value;
}

/// The sum over the block's threads, in thread 0.
template <typename T> __device__ T sumBlock(T value) {
  __shared__ T sums[32];
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  value = sumWarp(value);
  if (lane == 0)
    sums[warp] = value;
  __syncthreads();
  value = threadIdx.x < blockDim.x / 32 ? sums[lane] : T(0);
  return warp == 0 ? sumWarp(value) : T(0);
}

template <typename T> __device__ T sumStrided(const T *in, int count) {
  T sum = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count;
       i += gridDim.x * blockDim.x)
    sum += in[i];
  return sum;
}

__device__ unsigned finished = 0;

extern "C" {
__global__ void sum_int(const int *in, int *out, int count) {
  int sum = sumBlock(sumStrided(in, count));
  if (threadIdx.x == 0)
    atomicAdd(out, sum);
}

__global__ void sum_float(const float *in, float *out, int count) {
  float sum = sumBlock(sumStrided(in, count));
  if (threadIdx.x == 0)
    atomicAdd(out, sum);
}

/// The largest and the smallest value and the bits that any value has.
__global__ void extremes(const int *in, int *out, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const bool inside = i < count;
  const unsigned members = __ballot_sync(0xffffffffu, inside);
  if (!inside)
    return;
  int most = __reduce_max_sync(members, in[i]);
  int least = __reduce_min_sync(members, in[i]);
  unsigned bits = __reduce_or_sync(members, unsigned(in[i]));
  if (threadIdx.x % 32 == 0) {
    atomicMax(&out[0], most);
    atomicMin(&out[1], least);
    atomicOr(&out[2], int(bits));
  }
}

/// The sum in a fixed order, whatever the order of the blocks. `partial` has
/// one element a block.
__global__ void sum_last_block(const float *in, volatile float *partial,
                               float *out, int count) {
  __shared__ bool isLast;
  float sum = sumBlock(sumStrided(in, count));
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sum;
    // The sum must be there before the block counts as finished.
    __threadfence();
    isLast = atomicInc(&finished, gridDim.x - 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (!isLast)
    return;
  sum = 0;
  for (unsigned i = threadIdx.x; i < gridDim.x; i += blockDim.x)
    sum += partial[i];
  sum = sumBlock(sum);
  if (threadIdx.x == 0)
    *out = sum;
}
}

//===- scan.cu - Inclusive scan of a long array ----------------*- CUDA -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Three launches: each block scans its piece and leaves its sum, one block
// scans the sums, and each block adds what lies before it.
//
//===----------------------------------------------------------------------===//

template <typename T> __device__ T scanWarp(T value) {
  const unsigned lane = threadIdx.x % 32;
  for (unsigned distance = 1; distance < 32; distance *= 2) {
    T below = __shfl_up_sync(0xffffffffu, value, distance);
    if (lane >= distance)
      value += below;
  }
  return value;
}

/// The inclusive scan over the block's threads. `total` is the block's sum.
template <typename T> __device__ T scanBlock(T value, T &total) {
  __shared__ T sums[32];
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const unsigned warps = blockDim.x / 32;
  T inWarp = scanWarp(value);
  if (lane == 31)
    sums[warp] = inWarp;
  __syncthreads();
  if (warp == 0) {
    T sum = scanWarp(lane < warps ? sums[lane] : T(0));
    if (lane < warps)
      sums[lane] = sum;
  }
  __syncthreads();
  total = sums[warps - 1];
  return inWarp + (warp ? sums[warp - 1] : T(0));
}

template <typename T>
__device__ void scanPieces(const T *in, T *out, T *sums, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  T total;
  T value = scanBlock(i < count ? in[i] : T(0), total);
  if (i < count)
    out[i] = value;
  if (sums && threadIdx.x == 0)
    sums[blockIdx.x] = total;
}

template <typename T>
__device__ void addBefore(T *out, const T *sums, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (blockIdx.x > 0 && i < count)
    out[i] += sums[blockIdx.x - 1];
}

extern "C" {
__global__ void scan_int(const int *in, int *out, int *sums, int count) {
  scanPieces(in, out, sums, count);
}
__global__ void scan_double(const double *in, double *out, double *sums,
                            int count) {
  scanPieces(in, out, sums, count);
}
__global__ void add_int(int *out, const int *sums, int count) {
  addBefore(out, sums, count);
}
__global__ void add_double(double *out, const double *sums, int count) {
  addBefore(out, sums, count);
}
}

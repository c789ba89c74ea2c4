//===- histogram.cu - Histograms by atomics --------------------*- CUDA -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Bytes are counted in shared memory, and each block adds its counts to those
// in global memory. The second kernel joins equal values of a warp first.
//
//===----------------------------------------------------------------------===//

constexpr int Bins = 256;

extern "C" {
__global__ void histogram(const unsigned char *in, unsigned *bins, int count) {
  __shared__ unsigned counts[Bins];
  for (int i = threadIdx.x; i < Bins; i += blockDim.x)
    counts[i] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count;
       i += gridDim.x * blockDim.x)
    atomicAdd(&counts[in[i]], 1u);
  __syncthreads();
  for (int i = threadIdx.x; i < Bins; i += blockDim.x)
    if (counts[i])
      atomicAdd(&bins[i], counts[i]);
}

__global__ void histogram_matched(const unsigned char *in,
                                  unsigned long long *bins, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count)
    return;
  const unsigned lane = threadIdx.x % 32;
  const unsigned equal = __match_any_sync(__activemask(), in[i]);
  if (__ffs(equal) - 1 == int(lane))
    atomicAdd(&bins[in[i]], static_cast<unsigned long long>(__popc(equal)));
}

/// Keys and counts of an open-addressed table of `size` slots, a power of two;
/// free slots have the key -1. `keys` come from [0, 2^31).
__global__ void count_keys(const int *in, int *keys, unsigned *counts,
                           int count, int size) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count)
    return;
  const int key = in[i];
  for (int slot = (key * 0x9e3779b1u) & (size - 1);;
       slot = (slot + 1) & (size - 1)) {
    int found = atomicCAS(&keys[slot], -1, key);
    if (found == -1 || found == key) {
      atomicAdd(&counts[slot], 1u);
      return;
    }
  }
}
}

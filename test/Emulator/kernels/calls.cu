//===- calls.cu - Functions that are called --------------------*- CUDA -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Calls that stay calls: scalars and a structure by value, and an array on the
// stack.
//
//===----------------------------------------------------------------------===//

struct Pair {
  double first;
  int second;
};

__noinline__ __device__ Pair shift(Pair pair, int by) {
  return {pair.first * 0.5 + by, pair.second ^ by};
}

__noinline__ __device__ int median(int *values, int count) {
  for (int i = 1; i < count; ++i)
    for (int j = i; j > 0 && values[j - 1] > values[j]; --j) {
      int value = values[j];
      values[j] = values[j - 1];
      values[j - 1] = value;
    }
  return values[count / 2];
}

extern "C" {
__global__ void shift_pairs(double *first, int *second, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count)
    return;
  Pair pair = shift({first[i], second[i]}, i);
  first[i] = pair.first;
  second[i] = pair.second;
}

/// out[i] is the median of in[9 i ... 9 i + 8].
__global__ void medians(const int *in, int *out, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count)
    return;
  int values[9];
  for (int j = 0; j < 9; ++j)
    values[j] = in[9 * i + j];
  out[i] = median(values, 9);
}
}

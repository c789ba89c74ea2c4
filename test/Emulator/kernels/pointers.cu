//===- pointers.cu - Functions that are called through a table -*- CUDA -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every thread chooses a function at run time.
//
//===----------------------------------------------------------------------===//

__noinline__ __device__ float twice(float x) { return x + x; }
__noinline__ __device__ float square(float x) { return x * x; }
__noinline__ __device__ float invert(float x) { return 1.f / x; }
__device__ float (*const functions[3])(float) = {twice, square, invert};

extern "C" __global__ void apply(const int *which, float *values, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count)
    values[i] = functions[which[i]](values[i]);
}

//===- fp8.cu - Conversions of 8-bit floating point ------------*- CUDA -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Both 8-bit formats, from and to single and half precision, by the types of
// cuda_fp8.h. On sm_90a they are single instructions, on sm_80 library code.
//
//===----------------------------------------------------------------------===//

#include <cuda_fp8.h>

extern "C" {
__global__ void encode_e4m3(const float2 *in, unsigned short *out, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count)
    out[i] = __nv_fp8x2_e4m3(in[i]).__x;
}
__global__ void encode_e5m2(const float2 *in, unsigned short *out, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count)
    out[i] = __nv_fp8x2_e5m2(in[i]).__x;
}
__global__ void encode_e4m3_half(const __half *in, unsigned char *out,
                                 int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count)
    out[i] = __nv_fp8_e4m3(in[i]).__x;
}
__global__ void decode_e4m3(const __nv_fp8x2_e4m3 *in, float2 *out, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count)
    out[i] = static_cast<float2>(in[i]);
}
__global__ void decode_e5m2(const __nv_fp8x2_e5m2 *in, float2 *out, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count)
    out[i] = static_cast<float2>(in[i]);
}
}

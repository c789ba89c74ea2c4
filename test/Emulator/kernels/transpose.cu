//===- transpose.cu - Transpose through shared memory ----------*- CUDA -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tiles of 32 x 32 elements, 32 x 8 threads. With rows of 32 words a column of
// the tile lies in one bank; a 33rd word spreads it over all.
//
//===----------------------------------------------------------------------===//

constexpr int Tile = 32, Rows = 8;

template <int Padding>
__device__ void transpose(const float *in, float *out, int height, int width) {
  __shared__ float tile[Tile][Tile + Padding];
  int column = blockIdx.x * Tile + threadIdx.x;
  int row = blockIdx.y * Tile + threadIdx.y;
  for (int i = 0; i < Tile; i += Rows)
    if (row + i < height && column < width)
      tile[threadIdx.y + i][threadIdx.x] = in[(row + i) * width + column];
#ifndef PLANT_NO_BARRIER
  __syncthreads();
#endif
  column = blockIdx.y * Tile + threadIdx.x;
  row = blockIdx.x * Tile + threadIdx.y;
  for (int i = 0; i < Tile; i += Rows)
    if (row + i < width && column < height)
      out[(row + i) * height + column] = tile[threadIdx.x][threadIdx.y + i];
}

extern "C" {
__global__ void transpose_padded(const float *in, float *out, int height,
                                 int width) {
  transpose<1>(in, out, height, width);
}
__global__ void transpose_conflicts(const float *in, float *out, int height,
                                    int width) {
  transpose<0>(in, out, height, width);
}
}

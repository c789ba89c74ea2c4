//===- tma.cu - Copies by the copy engine ----------------------*- CUDA -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Bulk copies without and with tensor maps: boxes of two- and three-dimensional
// arrays with any part outside, each swizzle, elements with strides, sums into
// global memory.
//
//===----------------------------------------------------------------------===//

#include "hopper.cuh"

extern "C" {
/// out = in + 1 in pieces of 1024 elements, `count` a multiple of 4.
__global__ void bulk_increment(const float *in, float *out, int count) {
  __shared__ alignas(128) float piece[1024];
  __shared__ Barrier arrived;
  if (threadIdx.x == 0) {
    init(arrived, 1);
    fenceInit();
  }
  __syncthreads();
  uint32_t parity = 0;
  for (int first = blockIdx.x * 1024; first < count;
       first += gridDim.x * 1024, parity ^= 1) {
    const int size = min(1024, count - first);
    if (threadIdx.x == 0) {
      arriveExpecting(arrived, size * 4);
      asm volatile("cp.async.bulk.shared::cluster.global"
                   ".mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                       shared(piece)),
                   "l"(__cvta_generic_to_global(in + first)), "r"(size * 4),
                   "r"(shared(&arrived))
                   : "memory");
    }
    wait(arrived, parity);
    for (int i = threadIdx.x; i < size; i += blockDim.x)
      piece[i] += 1.f;
    fenceProxy();
    __syncthreads();
    if (threadIdx.x == 0) {
      asm volatile(
          "cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(
              __cvta_generic_to_global(out + first)),
          "r"(shared(piece)), "r"(size * 4)
          : "memory");
#ifdef PLANT_NO_DRAIN
      asm volatile("cp.async.bulk.commit_group;" ::: "memory");
#else
      drainStores();
#endif
    }
  }
}

/// bins += the column sums of in[rows, 256], each block's by one bulk
/// reduction.
__global__ void bulk_sum(const float *in, float *bins, int rows) {
  __shared__ alignas(128) float sums[256];
  float sum = 0;
  for (int row = blockIdx.x; row < rows; row += gridDim.x)
    sum += in[row * 256 + threadIdx.x];
  sums[threadIdx.x] = sum;
  fenceProxy();
  __syncthreads();
  if (threadIdx.x == 0) {
    asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 "
                 "[%0], [%1], %2;" ::"l"(__cvta_generic_to_global(bins)),
                 "r"(shared(sums)), "n"(sizeof sums)
                 : "memory");
    drainStores();
  }
}

/// Writes the box of 32-bit words at (column, row) to out, byte by byte as it
/// lies in shared memory. `bytes` is the size of the box.
__global__ void copy_box(const __grid_constant__ CUtensorMap map, uint32_t *out,
                         int column, int row, int bytes) {
  extern __shared__ __align__(1024) uint32_t box[];
  __shared__ Barrier arrived;
  if (threadIdx.x == 0) {
    init(arrived, 1);
    fenceInit();
    arriveExpecting(arrived, bytes);
    load(box, map, column, row, arrived);
  }
  __syncthreads();
  wait(arrived, 0);
  for (int i = threadIdx.x; i < bytes / 4; i += blockDim.x)
    out[i] = box[i];
}

/// Moves a box of a three-dimensional array by `shift` in each dimension, into
/// another array, or adds it to what is there.
__global__ void move_box(const __grid_constant__ CUtensorMap from,
                         const __grid_constant__ CUtensorMap to, int x, int y,
                         int z, int shift, int bytes, int add) {
  extern __shared__ __align__(1024) uint32_t box[];
  __shared__ Barrier arrived;
  if (threadIdx.x != 0)
    return;
  init(arrived, 1);
  fenceInit();
  arriveExpecting(arrived, bytes);
  asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.tile"
               ".mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], "
               "[%5];" ::"r"(shared(box)),
               "l"(&from), "r"(x), "r"(y), "r"(z), "r"(shared(&arrived))
               : "memory");
  wait(arrived, 0);
  if (add)
    asm volatile("cp.reduce.async.bulk.tensor.3d.global.shared::cta.add.tile"
                 ".bulk_group [%0, {%1, %2, %3}], [%4];" ::"l"(&to),
                 "r"(x + shift), "r"(y + shift), "r"(z + shift),
                 "r"(shared(box))
                 : "memory");
  else
    asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.tile.bulk_group "
                 "[%0, {%1, %2, %3}], [%4];" ::"l"(&to),
                 "r"(x + shift), "r"(y + shift), "r"(z + shift),
                 "r"(shared(box))
                 : "memory");
  drainStores();
}
}

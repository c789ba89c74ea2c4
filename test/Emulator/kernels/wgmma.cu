//===- wgmma.cu - Matrix multiplication on sm_90a --------------*- CUDA -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// C = A B^T, A [rows, inner] and B [columns, inner] in half precision or
// bfloat16, single-precision sums, C in bfloat16 or half precision. A block
// computes 128 x 128 elements, each warpgroup 64 x 128. Tiles of 128 x 64 come
// by tensor maps with 128-byte swizzle (boxes of 64 x 128 elements), and C goes
// in boxes of 64 x 64. Either one warp copies and two warpgroups multiply, or
// two warpgroups do both.
//
//===----------------------------------------------------------------------===//

#include "hopper.cuh"
#include <cuda_bf16.h>
#include <cuda_fp16.h>

constexpr int Tile = 128, Depth = 64, Stages = 3;

/// Boxes must begin at multiples of 1024 bytes.
struct Storage {
  uint16_t left[Stages][Tile * Depth], right[Stages][Tile * Depth];
  uint16_t out[2][2][64 * 64]; ///< Of each warpgroup, two boxes.
  Barrier full[Stages], empty[Stages];
};

struct Maps {
  const CUtensorMap &a, &b, &c;
};

template <typename T> __device__ uint16_t narrow(float value);
template <> __device__ uint16_t narrow<__half>(float value) {
  return __half_as_ushort(__float2half_rn(value));
}
template <> __device__ uint16_t narrow<__nv_bfloat16>(float value) {
  return __bfloat16_as_ushort(__float2bfloat16_rn(value));
}

__device__ void loadStage(Storage &storage, const Maps &maps, int step) {
  const int stage = step % Stages;
  arriveExpecting(storage.full[stage], 2 * Tile * Depth * 2);
  load(storage.left[stage], maps.a, step * Depth, blockIdx.y * Tile,
       storage.full[stage]);
  load(storage.right[stage], maps.b, step * Depth, blockIdx.x * Tile,
       storage.full[stage]);
}

template <typename T>
__device__ void multiplyStage(Storage &storage, int stage, int group,
                              float (&sums)[64], bool accumulate) {
  const uint64_t left = describe(&storage.left[stage][group * 64 * Depth]);
  const uint64_t right = describe(storage.right[stage]);
  beginMultiply();
  // 16 elements are 32 bytes further in the swizzled rows.
  for (int k = 0; k < Depth / 16; ++k)
    if constexpr (sizeof(T) == 2 && __is_same(T, __half))
      multiplyHalf(sums, left + 2 * k, right + 2 * k, accumulate || k);
    else
      multiplyBfloat16(sums, left + 2 * k, right + 2 * k, accumulate || k);
  commitMultiply();
}

template <typename T>
__device__ void storeTile(Storage &storage, const Maps &maps, int group,
                          const float (&sums)[64]) {
  const int thread = threadIdx.x % 128, lane = thread % 32;
  for (int i = 0; i < 64; i += 2) {
    const int row = thread / 32 * 16 + lane / 4 + i / 2 % 2 * 8;
    const int column = i / 4 * 8 + lane % 4 * 2;
    // Chunks of 16 bytes are permuted as the tensor map says.
    const int chunk = column % 64 / 8 ^ row % 8;
    const uint32_t pair = narrow<T>(sums[i]) | uint32_t(narrow<T>(sums[i + 1]))
                                                   << 16;
    *reinterpret_cast<uint32_t *>(
        &storage.out[group][column / 64][row * 64 + chunk * 8 + column % 8]) =
        pair;
  }
#ifndef PLANT_NO_PROXY_FENCE
  fenceProxy();
#endif
  asm volatile("bar.sync %0, 128;" ::"r"(group + 1) : "memory");
  if (thread == 0) {
    for (int box = 0; box < 2; ++box)
      store(maps.c, blockIdx.x * Tile + box * 64,
            blockIdx.y * Tile + group * 64, storage.out[group][box]);
    drainStores();
  }
}

__device__ Storage &setUp(const Maps &maps, uint32_t consumers) {
  extern __shared__ __align__(1024) unsigned char memory[];
  Storage &storage = *reinterpret_cast<Storage *>(memory);
  if (threadIdx.x == 0) {
    prefetch(maps.a);
    prefetch(maps.b);
    prefetch(maps.c);
    for (int stage = 0; stage < Stages; ++stage) {
      init(storage.full[stage], 1);
      init(storage.empty[stage], consumers);
    }
    fenceInit();
  }
  __syncthreads();
  return storage;
}

/// 384 threads: the first warpgroup copies, the others multiply.
template <typename T> __device__ void specialized(Maps maps, int inner) {
  Storage &storage = setUp(maps, 8);
  const int steps = (inner + Depth - 1) / Depth;
  const int group = int(threadIdx.x / 128) - 1;
  if (group < 0) {
    setRegisters<40>(false);
    if (threadIdx.x / 32 == 0 && elect())
      for (int step = 0; step < steps; ++step) {
#ifndef PLANT_NO_EMPTY_WAIT
        wait(storage.empty[step % Stages], (step / Stages & 1) ^ 1);
#endif
        loadStage(storage, maps, step);
      }
    return;
  }
  setRegisters<232>(true);
  float sums[64];
  for (int step = 0; step < steps; ++step) {
    wait(storage.full[step % Stages], step / Stages & 1);
    multiplyStage<T>(storage, step % Stages, group, sums, step > 0);
    // The multiplication before this one has read its stage.
    waitMultiply<1>();
    if (step > 0 && threadIdx.x % 32 == 0)
      arrive(storage.empty[(step - 1) % Stages]);
  }
  waitMultiply<0>();
  storeTile<T>(storage, maps, group, sums);
}

/// 256 threads: thread 0 copies two steps ahead of all.
template <typename T> __device__ void together(Maps maps, int inner) {
  Storage &storage = setUp(maps, 1);
  const int steps = (inner + Depth - 1) / Depth, group = threadIdx.x / 128;
  float sums[64];
  if (threadIdx.x == 0)
    for (int step = 0; step < Stages - 1 && step < steps; ++step)
      loadStage(storage, maps, step);
  for (int step = 0; step < steps; ++step) {
    wait(storage.full[step % Stages], step / Stages & 1);
    multiplyStage<T>(storage, step % Stages, group, sums, step > 0);
    waitMultiply<0>();
    __syncthreads();
    if (threadIdx.x == 0 && step + Stages - 1 < steps)
      loadStage(storage, maps, step + Stages - 1);
  }
  storeTile<T>(storage, maps, group, sums);
}

#define KERNEL(NAME, BODY, TYPE, THREADS)                                      \
  extern "C" __global__ void __launch_bounds__(THREADS, 1)                     \
      NAME(const __grid_constant__ CUtensorMap a,                              \
           const __grid_constant__ CUtensorMap b,                              \
           const __grid_constant__ CUtensorMap c, int inner) {                 \
    BODY<TYPE>({a, b, c}, inner);                                              \
  }
KERNEL(specialized_bfloat16, specialized, __nv_bfloat16, 384)
KERNEL(specialized_half, specialized, __half, 384)
KERNEL(together_bfloat16, together, __nv_bfloat16, 256)
KERNEL(together_half, together, __half, 256)

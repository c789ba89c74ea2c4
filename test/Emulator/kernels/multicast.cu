//===- multicast.cu - Matrix multiplication with multicast -----*- CUDA -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// C = A B^T in bfloat16 with sums and C in single precision. Two blocks, one
// above the other, need the same tile of B: each fetches one half of it and the
// copy engine writes it to both. A stage may be filled again when both blocks
// have read it, so that the barrier of empty stages counts the warps of both.
// A block has one warpgroup that multiplies (64 x 128 elements) and one warp
// that copies. Rows must be a multiple of 128.
//
//===----------------------------------------------------------------------===//

#include "hopper.cuh"
#include <cooperative_groups.h>

namespace cg = cooperative_groups;

constexpr int Rows = 64, Columns = 128, Depth = 64, Stages = 2;

struct Storage {
  uint16_t left[Stages][Rows * Depth], right[Stages][Columns * Depth];
  Barrier full[Stages], empty[Stages];
};

extern "C" __global__ void __cluster_dims__(1, 2, 1) __launch_bounds__(160, 1)
    multicast(const __grid_constant__ CUtensorMap a,
              const __grid_constant__ CUtensorMap b, float *c, int columns,
              int inner) {
  extern __shared__ __align__(1024) unsigned char memory[];
  Storage &storage = *reinterpret_cast<Storage *>(memory);
  cg::cluster_group cluster = cg::this_cluster();
  const int rank = cluster.block_rank();
  const int steps = (inner + Depth - 1) / Depth;
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < Stages; ++stage) {
      init(storage.full[stage], 1);
      init(storage.empty[stage], 2 * 4);
    }
    fenceInit();
  }
  cluster.sync();

  if (threadIdx.x >= 128) {
    if (elect())
      for (int step = 0; step < steps; ++step) {
        const int stage = step % Stages;
        waitCluster(storage.empty[stage], (step / Stages & 1) ^ 1);
        arriveExpecting(storage.full[stage],
                        sizeof storage.left[0] + sizeof storage.right[0]);
        load(storage.left[stage], a, step * Depth, blockIdx.y * Rows,
             storage.full[stage]);
        loadMulticast(&storage.right[stage][rank * Columns / 2 * Depth], b,
                      step * Depth, blockIdx.x * Columns + rank * Columns / 2,
                      storage.full[stage], 3);
      }
  } else {
    float sums[64];
    for (int step = 0; step < steps; ++step) {
      const int stage = step % Stages;
      wait(storage.full[stage], step / Stages & 1);
      const uint64_t left = describe(storage.left[stage]);
      const uint64_t right = describe(storage.right[stage]);
      beginMultiply();
      for (int k = 0; k < Depth / 16; ++k)
        multiplyBfloat16(sums, left + 2 * k, right + 2 * k, step || k);
      commitMultiply();
      waitMultiply<0>();
      if (threadIdx.x % 32 < 2)
        arriveAt(storage.empty[stage], threadIdx.x % 32);
    }
    const int lane = threadIdx.x % 32;
    for (int i = 0; i < 64; ++i) {
      const int row =
          blockIdx.y * Rows + threadIdx.x / 32 * 16 + lane / 4 + i / 2 % 2 * 8;
      const int column =
          blockIdx.x * Columns + i / 4 * 8 + lane % 4 * 2 + i % 2;
      if (column < columns)
        c[size_t(row) * columns + column] = sums[i];
    }
  }
  // The other block may still write to and arrive at this one's memory.
  cluster.sync();
}

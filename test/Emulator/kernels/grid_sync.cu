//===- grid_sync.cu - Synchronization of a grid ----------------*- CUDA -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Heat on a ring of cells: every step reads what all blocks have written in the
// step before. Once with the library's barrier, which needs a cooperative
// launch, once with one by hand. All blocks must be there at once.
//
//===----------------------------------------------------------------------===//

#include <cooperative_groups.h>

namespace cg = cooperative_groups;

/// Waits until all blocks have been here `round` times.
__device__ void waitForGrid(unsigned *arrived, unsigned round) {
  __syncthreads();
  if (threadIdx.x == 0) {
#ifndef PLANT_NO_FENCE
    __threadfence();
#endif
    atomicAdd(arrived, 1u);
    while (*static_cast<volatile unsigned *>(arrived) < round * gridDim.x) {
    }
    __threadfence();
  }
  __syncthreads();
}

template <typename Wait>
__device__ void diffuse(float *cells, float *next, int count, int steps,
                        Wait wait) {
  for (int step = 0; step < steps; ++step) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count;
         i += gridDim.x * blockDim.x)
      next[i] = 0.5f * cells[i] + 0.25f * cells[(i + 1) % count] +
                0.25f * cells[(i + count - 1) % count];
    wait(step + 1);
    float *swap = cells;
    cells = next;
    next = swap;
  }
}

extern "C" {
__global__ void diffuse_cooperative(float *cells, float *next, int count,
                                    int steps) {
  cg::grid_group grid = cg::this_grid();
  diffuse(cells, next, count, steps, [&](unsigned) { grid.sync(); });
}
__global__ void diffuse_by_hand(float *cells, float *next, unsigned *arrived,
                                int count, int steps) {
  diffuse(cells, next, count, steps,
          [=](unsigned round) { waitForGrid(arrived, round); });
}
}

//===- grid_sync.cu - Synchronization of a grid ----------------*- CUDA -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Heat on a ring of cells: every step reads what all blocks have written in the
// step before. A launch must be cooperative: all blocks are there at once.
//
//===----------------------------------------------------------------------===//

#include <cooperative_groups.h>

namespace cg = cooperative_groups;

extern "C" __global__ void diffuse(float *cells, float *next, int count,
                                   int steps) {
  cg::grid_group grid = cg::this_grid();
  for (int step = 0; step < steps; ++step) {
    for (int i = grid.thread_rank(); i < count; i += grid.size())
      next[i] = 0.5f * cells[i] + 0.25f * cells[(i + 1) % count] +
                0.25f * cells[(i + count - 1) % count];
    grid.sync();
    float *swap = cells;
    cells = next;
    next = swap;
  }
}

//===- cluster.cu - Blocks that reach into each other's shared memory -*- CUDA
//-*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A histogram whose bins are spread over the blocks of a cluster, sums that go
// around a ring of blocks by asynchronous stores, and the same by bulk copies.
//
//===----------------------------------------------------------------------===//

#include "hopper.cuh"
#include <cooperative_groups.h>

namespace cg = cooperative_groups;

constexpr int Bins = 512, Threads = 64;

extern "C" {
/// Counts values from [0, Bins). Block r of the cluster keeps the bins from
/// r * Bins / blocks on; atomics go to whoever has the bin.
__global__ void cluster_histogram(const int *in, unsigned *bins, int count) {
  __shared__ unsigned counts[Bins];
  cg::cluster_group cluster = cg::this_cluster();
  const int each = Bins / cluster.num_blocks();
  for (int i = threadIdx.x; i < each; i += blockDim.x)
    counts[i] = 0;
  cluster.sync();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count;
       i += gridDim.x * blockDim.x) {
    unsigned *there = cluster.map_shared_rank(counts, in[i] / each);
    atomicAdd(&there[in[i] % each], 1u);
  }
#ifndef PLANT_NO_CLUSTER_SYNC
  // Nobody may read, or leave, while others still count.
  cluster.sync();
#endif
  const int first = cluster.block_rank() * each;
  for (int i = threadIdx.x; i < each; i += blockDim.x)
    if (counts[i])
      atomicAdd(&bins[first + i], counts[i]);
}

/// out[b, t] = sum over the cluster's blocks b' of in[b', t], after one turn
/// around the ring. Every element is passed on by an asynchronous store that
/// counts its bytes at the receiver's barrier.
__global__ void __cluster_dims__(4, 1, 1)
    ring_store(const int4 *in, int4 *out) {
  __shared__ int4 inbox[2][Threads];
  __shared__ Barrier arrived[2];
  cg::cluster_group cluster = cg::this_cluster();
  const int blocks = cluster.num_blocks();
  const unsigned next = (cluster.block_rank() + 1) % blocks;
  if (threadIdx.x == 0) {
    for (Barrier &barrier : arrived)
      init(barrier, 1);
    fenceInit();
  }
  cluster.sync();
  const int i = blockIdx.x * Threads + threadIdx.x;
  int4 sum = in[i], moving = sum;
  for (int step = 0; step < blocks - 1; ++step) {
    const int box = step % 2;
    if (threadIdx.x == 0)
      arriveExpecting(arrived[box], sizeof inbox[box]);
    asm volatile("{\n"
                 ".reg .b32 there, bell;\n"
                 "mapa.shared::cluster.u32 there, %0, %2;\n"
                 "mapa.shared::cluster.u32 bell, %1, %2;\n"
                 "st.async.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 "
                 "[there], {%3, %4, %5, %6}, [bell];\n"
                 "}" ::"r"(shared(&inbox[box][threadIdx.x])),
                 "r"(shared(&arrived[box])), "r"(next), "r"(moving.x),
                 "r"(moving.y), "r"(moving.z), "r"(moving.w)
                 : "memory");
    waitCluster(arrived[box], step / 2 % 2);
    moving = inbox[box][threadIdx.x];
    sum.x += moving.x;
    sum.y += moving.y;
    sum.z += moving.z;
    sum.w += moving.w;
    // The box is free again, and the barrier's phase is over everywhere.
    cluster.sync();
  }
  out[i] = sum;
}

/// Like ring_store, but one thread copies all in bulk from block to block.
__global__ void ring_copy(const int *in, int *out) {
  __shared__ alignas(16) int boxes[3][Threads];
  __shared__ Barrier arrived[2];
  cg::cluster_group cluster = cg::this_cluster();
  const int blocks = cluster.num_blocks();
  const unsigned next = (cluster.block_rank() + 1) % blocks;
  const int i = blockIdx.x * Threads + threadIdx.x;
  if (threadIdx.x == 0) {
    for (Barrier &barrier : arrived)
      init(barrier, 1);
    fenceInit();
  }
  int sum = in[i];
  boxes[0][threadIdx.x] = sum;
  fenceProxy();
  cluster.sync();
  for (int step = 0; step < blocks - 1; ++step) {
    if (threadIdx.x == 0) {
      arriveExpecting(arrived[step % 2], sizeof boxes[0]);
      asm volatile("{\n"
                   ".reg .b32 there, bell;\n"
                   "mapa.shared::cluster.u32 there, %0, %3;\n"
                   "mapa.shared::cluster.u32 bell, %1, %3;\n"
                   "cp.async.bulk.shared::cluster.shared::cta"
                   ".mbarrier::complete_tx::bytes [there], [%2], %4, [bell];\n"
                   "}" ::"r"(shared(boxes[(step + 1) % 3])),
                   "r"(shared(&arrived[step % 2])),
                   "r"(shared(boxes[step % 3])), "r"(next), "n"(sizeof boxes[0])
                   : "memory");
    }
    waitCluster(arrived[step % 2], step / 2 % 2);
    sum += boxes[(step + 1) % 3][threadIdx.x];
    cluster.sync();
  }
  out[i] = sum;
}

/// Two blocks swap a value by plain loads from the other's shared memory, with
/// the cluster's barrier in its two halves.
__global__ void swap_pairs(const float *in, float *out) {
  __shared__ float mine[Threads];
  const int i = blockIdx.x * Threads + threadIdx.x;
  mine[threadIdx.x] = in[i];
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
  uint32_t rank, address;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  asm("mapa.shared::cluster.u32 %0, %1, %2;"
      : "=r"(address)
      : "r"(shared(&mine[threadIdx.x])), "r"(rank ^ 1));
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
  float other;
  asm volatile("ld.shared::cluster.f32 %0, [%1];"
               : "=f"(other)
               : "r"(address)
               : "memory");
  out[i] = other;
  asm volatile("barrier.cluster.arrive.aligned;\n"
               "barrier.cluster.wait.aligned;" ::
                   : "memory");
}
}

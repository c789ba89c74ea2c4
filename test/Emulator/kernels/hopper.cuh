//===- hopper.cuh - Instructions of sm_90 as functions ---------*- CUDA -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each function is one PTX instruction that CUDA C++ has no word for, or a loop
// around one. Addresses in shared memory are 32-bit.
//
//===----------------------------------------------------------------------===//

#pragma once

#include <cstdint>
#include <cuda.h>

using Barrier = uint64_t;

__device__ inline uint32_t shared(const void *pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

/// True in one lane of the warp, all of which must be here.
__device__ inline bool elect() {
  uint32_t elected;
  asm volatile("{\n"
               ".reg .pred p;\n"
               "elect.sync _|p, 0xffffffff;\n"
               "selp.u32 %0, 1, 0, p;\n"
               "}"
               : "=r"(elected));
  return elected;
}

template <int Count> __device__ void setRegisters(bool more) {
  if (more)
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Count));
  else
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Count));
}

//===----------------------------------------------------------------------===//
// mbarrier
//===----------------------------------------------------------------------===//

__device__ inline void init(Barrier &barrier, uint32_t count) {
  asm volatile(
      "mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared(&barrier)),
      "r"(count)
      : "memory");
}

/// Makes initialized barriers known to the cluster and to the copy engine.
__device__ inline void fenceInit() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

__device__ inline void arrive(Barrier &barrier) {
  asm volatile(
      "mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared(&barrier))
      : "memory");
}

/// Arrives at the barrier of the same place in block `rank` of the cluster.
__device__ inline void arriveAt(Barrier &barrier, uint32_t rank) {
  asm volatile("{\n"
               ".reg .b32 remote;\n"
               "mapa.shared::cluster.u32 remote, %0, %1;\n"
               "mbarrier.arrive.release.cluster.shared::cluster.b64 _, "
               "[remote];\n"
               "}" ::"r"(shared(&barrier)),
               "r"(rank)
               : "memory");
}

__device__ inline void arriveExpecting(Barrier &barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(
                   shared(&barrier)),
               "r"(bytes)
               : "memory");
}

__device__ inline void wait(Barrier &barrier, uint32_t parity) {
  asm volatile("{\n"
               ".reg .pred done;\n"
               "WAIT:\n"
               "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
               "@done bra DONE;\n"
               "bra WAIT;\n"
               "DONE:\n"
               "}" ::"r"(shared(&barrier)),
               "r"(parity)
               : "memory");
}

/// Waits for arrivals of other blocks, too.
__device__ inline void waitCluster(Barrier &barrier, uint32_t parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "WAIT:\n"
      "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], "
      "%1;\n"
      "@!done bra WAIT;\n"
      "}" ::"r"(shared(&barrier)),
      "r"(parity)
      : "memory");
}

//===----------------------------------------------------------------------===//
// Copies of tensors
//===----------------------------------------------------------------------===//

__device__ inline void prefetch(const CUtensorMap &map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

__device__ inline void load(void *to, const CUtensorMap &map, int column,
                            int row, Barrier &barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile"
      ".mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(
          shared(to)),
      "l"(&map), "r"(column), "r"(row), "r"(shared(&barrier))
      : "memory");
}

/// Copies to the same place of all blocks of the cluster in `blocks`.
__device__ inline void loadMulticast(void *to, const CUtensorMap &map,
                                     int column, int row, Barrier &barrier,
                                     uint16_t blocks) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile"
               ".mbarrier::complete_tx::bytes.multicast::cluster [%0], "
               "[%1, {%2, %3}], [%4], %5;" ::"r"(shared(to)),
               "l"(&map), "r"(column), "r"(row), "r"(shared(&barrier)),
               "h"(blocks)
               : "memory");
}

__device__ inline void store(const CUtensorMap &map, int column, int row,
                             const void *from) {
  asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group "
               "[%0, {%1, %2}], [%3];" ::"l"(&map),
               "r"(column), "r"(row), "r"(shared(from))
               : "memory");
}

/// Makes this thread's writes to shared memory known to the copy engine.
__device__ inline void fenceProxy() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/// Waits until the thread's stores have read their sources.
__device__ inline void drainStores() {
  asm volatile("cp.async.bulk.commit_group;\n"
               "cp.async.bulk.wait_group.read 0;" ::
                   : "memory");
}

//===----------------------------------------------------------------------===//
// wgmma
//===----------------------------------------------------------------------===//

/// Describes rows of 128 bytes, swizzled over 128 bytes in groups of 8 rows.
__device__ inline uint64_t describe(const void *matrix) {
  return uint64_t((shared(matrix) & 0x3ffff) >> 4) | uint64_t(1) << 16 |
         uint64_t(1024 >> 4) << 32 | uint64_t(1) << 62;
}

__device__ inline void beginMultiply() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

__device__ inline void commitMultiply() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/// Waits until at most `Pending` committed groups are under way.
template <int Pending> __device__ void waitMultiply() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory");
}

#define FOUR(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define SIXTEEN(i) FOUR(i), FOUR(i + 4), FOUR(i + 8), FOUR(i + 12)
/// d (64 x 128) = a (64 x 16) b^T (128 x 16) + (accumulate ? d : 0).
#define MULTIPLY(NAME, TYPE)                                                   \
  __device__ inline void NAME(float (&d)[64], uint64_t a, uint64_t b,          \
                              bool accumulate) {                               \
    asm volatile("{\n"                                                         \
                 ".reg .pred p;\n"                                             \
                 "setp.ne.b32 p, %66, 0;\n"                                    \
                 "wgmma.mma_async.sync.aligned.m64n128k16.f32." TYPE "." TYPE  \
                 " {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, "   \
                 "%13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, "     \
                 "%24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, "     \
                 "%35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, "     \
                 "%46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, "     \
                 "%57, %58, %59, %60, %61, %62, %63}, %64, %65, p, 1, 1, 0, "  \
                 "0;\n"                                                        \
                 "}"                                                           \
                 : SIXTEEN(0), SIXTEEN(16), SIXTEEN(32), SIXTEEN(48)           \
                 : "l"(a), "l"(b), "r"(int(accumulate)));                      \
  }
MULTIPLY(multiplyHalf, "f16")
MULTIPLY(multiplyBfloat16, "bf16")
#undef MULTIPLY
#undef SIXTEEN
#undef FOUR

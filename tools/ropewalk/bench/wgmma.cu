// Matrix products of a warpgroup for `ropewalk bench emulator`, compiled by
//   nvcc -ptx -arch=sm_90a -O3 wgmma.cu
#include <cstdint>
#include <cuda_fp16.h>

// Each block multiplies its 64x64 tile of a by the 64x128 tile b (K-major rows
// of 128 bytes, 128-byte swizzle) `rounds` times and adds everything up in
// c[block][64][128]; 128 threads.
extern "C" __global__ void __launch_bounds__(128)
    wgmma_rounds(const uint4 *a, const uint4 *b, float *c, int rounds) {
  __shared__ __align__(1024) uint4 aTile[64 * 8], bTile[128 * 8];
  for (int i = threadIdx.x; i < 64 * 8; i += 128)
    aTile[i / 8 * 8 + (i % 8 ^ i / 8 % 8)] = a[blockIdx.x * 512 + i];
  for (int i = threadIdx.x; i < 128 * 8; i += 128)
    bTile[i / 8 * 8 + (i % 8 ^ i / 8 % 8)] = b[i];
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  __syncthreads();
  auto descriptor = [](const void *tile) {
    uint64_t address = uint32_t(__cvta_generic_to_shared(tile));
    return address >> 4 & 0x3fff | uint64_t(1) << 16 | uint64_t(64) << 32 |
           uint64_t(1) << 62;
  };
  const uint64_t aStart = descriptor(aTile), bStart = descriptor(bTile);
  float d[64] = {};
  for (int round = 0; round < rounds; ++round) {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
    for (int k = 0; k < 4; ++k)
      asm volatile(
          "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 "
          "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,"
          "%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,"
          "%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,"
          "%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, %64, %65, 1, 1, 1, 0, "
          "0;"
#define FOUR(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define SIXTEEN(i) FOUR(i), FOUR(i + 4), FOUR(i + 8), FOUR(i + 12)
          : SIXTEEN(0), SIXTEEN(16), SIXTEEN(32), SIXTEEN(48)
          : "l"(aStart + k * 2), "l"(bStart + k * 2));
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
  }
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (int i = 0; i < 64; ++i) {
    int row = warp * 16 + lane / 4 + i / 2 % 2 * 8;
    int column = i / 4 * 8 + lane % 4 * 2 + i % 2;
    c[size_t(blockIdx.x) * 64 * 128 + row * 128 + column] = d[i];
  }
}

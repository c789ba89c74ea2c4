// Flash attention forward on tensor cores of sm_80: f16 in and out, f32 inside.
// q, k, v, o: [heads][length][64]; length is a multiple of 64. A block handles
// 64 query rows of one head with four warps, 16 rows each; key and value tiles
// of 64 rows arrive by cp.async in two stages.
//
// What `ropewalk bench emulator` runs is this file compiled by
//   nvcc -ptx -arch=sm_80 -O3 flash_attention.cu
#include <cstdint>
#include <cuda_fp16.h>

namespace {

constexpr int Dim = 64, Tile = 64, Row = Dim * 2; // bytes of a row

__device__ uint32_t sharedAddress(const void *p) {
  return uint32_t(__cvta_generic_to_shared(p));
}
// 16-byte chunk `c` of row `r`, spread over the banks.
__device__ int swizzle(int r, int c) { return r * Row + ((c ^ (r & 7)) << 4); }

__device__ void load4(uint32_t (&d)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
               : "r"(address)
               : "memory");
}
__device__ void load4Transposed(uint32_t (&d)[4], uint32_t address) {
  asm volatile(
      "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
      : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
      : "r"(address)
      : "memory");
}
__device__ void multiply(float (&d)[4], const uint32_t (&a)[4], uint32_t b0,
                         uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
               "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ void copyTile(char *shared, const char *global) {
#pragma unroll 1
  for (int i = threadIdx.x; i < Tile * Dim / 8; i += 128)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(
                     sharedAddress(shared + swizzle(i / 8, i % 8))),
                 "l"(global + i * 16)
                 : "memory");
}
__device__ uint32_t pack(float low, float high) {
  __half2 pair = __floats2half2_rn(low, high);
  return *reinterpret_cast<uint32_t *>(&pair);
}

} // namespace

// `scale` is log2(e) times the scale of the scores. 40960 bytes of dynamic
// shared memory.
extern "C" __global__ void __launch_bounds__(128)
    flash_attention(const char *q, const char *k, const char *v, char *o,
                    int length, int causal, float scale) {
  extern __shared__ __align__(128) char shared[];
  char *qTile = shared, *kTiles = shared + Tile * Row,
       *vTiles = shared + 3 * Tile * Row;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  // Long rows first, so that the last wave is short.
  const int tile = causal ? gridDim.x - 1 - blockIdx.x : blockIdx.x;
  const size_t head = size_t(blockIdx.y) * length * Row;
  const int tiles = causal ? tile + 1 : length / Tile;

#pragma unroll 1
  for (int i = 0; i < 3; ++i) { // Three sources, one copy of the code.
    copyTile(i == 0   ? qTile
             : i == 1 ? kTiles
                      : vTiles,
             i == 0   ? q + head + size_t(tile) * Tile * Row
             : i == 1 ? k + head
                      : v + head);
  }
  asm volatile("cp.async.commit_group;" ::: "memory");

  uint32_t qFragment[4][4];
  float output[8][4] = {}, maximum[2] = {-1e30f, -1e30f}, sum[2] = {};
  for (int t = 0; t < tiles; ++t) {
    if (t + 1 < tiles) {
      int stage = (t + 1) & 1;
      copyTile(kTiles + stage * Tile * Row,
               k + head + size_t(t + 1) * Tile * Row);
      copyTile(vTiles + stage * Tile * Row,
               v + head + size_t(t + 1) * Tile * Row);
      asm volatile("cp.async.commit_group;" ::: "memory");
      asm volatile("cp.async.wait_group 1;" ::: "memory");
    } else {
      asm volatile("cp.async.wait_group 0;" ::: "memory");
    }
    __syncthreads();
    if (t == 0)
      for (int i = 0; i < 4; ++i)
        load4(qFragment[i], sharedAddress(qTile + swizzle(warp * 16 + lane % 16,
                                                          i * 2 + lane / 16)));
    const char *kTile = kTiles + (t & 1) * Tile * Row;
    const char *vTile = vTiles + (t & 1) * Tile * Row;
    float score[8][4] = {};
    for (int i = 0; i < 4; ++i)
      for (int n = 0; n < 4; ++n) {
        uint32_t b[4];
        load4(b,
              sharedAddress(kTile + swizzle(n * 16 + lane % 8 + lane / 16 * 8,
                                            i * 2 + lane / 8 % 2)));
        multiply(score[2 * n], qFragment[i], b[0], b[1]);
        multiply(score[2 * n + 1], qFragment[i], b[2], b[3]);
      }
    if (causal && t + 1 == tiles)
      for (int n = 0; n < 8; ++n)
        for (int j = 0; j < 4; ++j)
          if (n * 8 + lane % 4 * 2 + j % 2 > warp * 16 + lane / 4 + j / 2 * 8)
            score[n][j] = -1e30f;
    for (int half = 0; half < 2; ++half) {
      float best = maximum[half];
      for (int n = 0; n < 8; ++n)
        best = fmaxf(best, fmaxf(score[n][2 * half], score[n][2 * half + 1]));
      best = fmaxf(best, __shfl_xor_sync(~0u, best, 1));
      best = fmaxf(best, __shfl_xor_sync(~0u, best, 2));
      float factor = exp2f((maximum[half] - best) * scale), row = 0;
      for (int n = 0; n < 8; ++n)
        for (int j = 2 * half; j < 2 * half + 2; ++j) {
          score[n][j] = exp2f((score[n][j] - best) * scale);
          row += score[n][j];
          output[n][j] *= factor;
        }
      maximum[half] = best;
      sum[half] = sum[half] * factor + row;
    }
    for (int i = 0; i < 4; ++i) {
      uint32_t a[4] = {pack(score[2 * i][0], score[2 * i][1]),
                       pack(score[2 * i][2], score[2 * i][3]),
                       pack(score[2 * i + 1][0], score[2 * i + 1][1]),
                       pack(score[2 * i + 1][2], score[2 * i + 1][3])};
      for (int n = 0; n < 4; ++n) {
        uint32_t b[4];
        load4Transposed(b, sharedAddress(vTile + swizzle(i * 16 + lane % 16,
                                                         n * 2 + lane / 16)));
        multiply(output[2 * n], a, b[0], b[1]);
        multiply(output[2 * n + 1], a, b[2], b[3]);
      }
    }
    // The next round overwrites the tiles that were read here.
    __syncthreads();
  }
  for (int half = 0; half < 2; ++half) {
    float total = sum[half];
    total += __shfl_xor_sync(~0u, total, 1);
    total += __shfl_xor_sync(~0u, total, 2);
    int row = tile * Tile + warp * 16 + lane / 4 + half * 8;
    for (int n = 0; n < 8; ++n)
      *reinterpret_cast<uint32_t *>(o + head + size_t(row) * Row + n * 16 +
                                    lane % 4 * 4) =
          pack(output[n][2 * half] / total, output[n][2 * half + 1] / total);
  }
}

// Scalar kernels for `ropewalk bench emulator`, compiled by
//   nvcc -ptx -arch=sm_80 -O3 scalar.cu

// c[n][n] = a[n][n] * b[n][n] in f32; n is a multiple of 64. 16x16 threads, a
// tile of 64x64 by 16, 4x4 values each.
extern "C" __global__ void __launch_bounds__(256)
    matmul(const float *a, const float *b, float *c, int n) {
  __shared__ __align__(16) float aTile[16][64], bTile[16][64];
  const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  const int row = blockIdx.y * 64, column = blockIdx.x * 64;
  float sum[4][4] = {};
  for (int k = 0; k < n; k += 16) {
    for (int i = threadIdx.x; i < 1024; i += 256) {
      aTile[i % 16][i / 16] = a[(row + i / 16) * n + k + i % 16];
      bTile[i / 64][i % 64] = b[(k + i / 64) * n + column + i % 64];
    }
    __syncthreads();
#pragma unroll
    for (int j = 0; j < 16; ++j) {
      float4 x = *reinterpret_cast<float4 *>(&aTile[j][ty * 4]);
      float4 y = *reinterpret_cast<float4 *>(&bTile[j][tx * 4]);
      const float xs[4] = {x.x, x.y, x.z, x.w}, ys[4] = {y.x, y.y, y.z, y.w};
      for (int u = 0; u < 4; ++u)
        for (int v = 0; v < 4; ++v)
          sum[u][v] += xs[u] * ys[v];
    }
    __syncthreads();
  }
  for (int u = 0; u < 4; ++u)
    for (int v = 0; v < 4; ++v)
      c[(row + ty * 4 + u) * n + column + tx * 4 + v] = sum[u][v];
}

// y[row][n] = softmax(x[row][n]); one block of 256 threads a row.
extern "C" __global__ void __launch_bounds__(256)
    softmax(const float *x, float *y, int n) {
  __shared__ float shared[8];
  const float *from = x + size_t(blockIdx.x) * n;
  float *to = y + size_t(blockIdx.x) * n;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  float best = -INFINITY;
  for (int i = threadIdx.x; i < n; i += 256)
    best = fmaxf(best, from[i]);
  for (int by = 16; by; by /= 2)
    best = fmaxf(best, __shfl_xor_sync(~0u, best, by));
  if (lane == 0)
    shared[warp] = best;
  __syncthreads();
  for (int i = 0; i < 8; ++i)
    best = fmaxf(best, shared[i]);
  __syncthreads();
  float sum = 0;
  for (int i = threadIdx.x; i < n; i += 256)
    sum += __expf(from[i] - best);
  for (int by = 16; by; by /= 2)
    sum += __shfl_xor_sync(~0u, sum, by);
  if (lane == 0)
    shared[warp] = sum;
  __syncthreads();
  sum = 0;
  for (int i = 0; i < 8; ++i)
    sum += shared[i];
  for (int i = threadIdx.x; i < n; i += 256)
    to[i] = __expf(from[i] - best) / sum;
}

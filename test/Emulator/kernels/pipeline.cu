//===- pipeline.cu - Copies by the library's pipeline and barrier -*- CUDA
//-*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A moving sum of rows and a producer-consumer pair, with cuda::pipeline and
// cuda::barrier of libcu++ instead of inline PTX.
//
//===----------------------------------------------------------------------===//

#include <cooperative_groups.h>
#include <cuda/barrier>
#include <cuda/pipeline>

namespace cg = cooperative_groups;

constexpr int Width = 128; // Threads of a block and elements of a row.

constexpr int Stages = 4;

/// out[i] = sum over the rows of in[rows, width]. Each thread reads what its
/// neighbour has copied; `wait` and `release` surround the reading.
template <typename Pipeline, typename Wait, typename Release>
__device__ void sumRows(const float *in, float *out, int rows, int width,
                        float (&stages)[Stages][Width], Pipeline &pipeline,
                        Wait wait, Release release) {
  const int column = blockIdx.x * Width + threadIdx.x;
  const int neighbour = column ^ 1;
  float sum = 0;
  for (int row = 0, next = 0; row < rows; ++row) {
    for (; next < rows && next < row + Stages; ++next) {
      pipeline.producer_acquire();
      if (column < width)
        cuda::memcpy_async(&stages[next % Stages][threadIdx.x],
                           &in[size_t(next) * width + column], sizeof(float),
                           pipeline);
      pipeline.producer_commit();
    }
    wait(next - row - 1);
    if (neighbour < width)
      sum += stages[row % Stages][threadIdx.x ^ 1];
    release();
  }
  if (neighbour < width)
    out[neighbour] = sum;
}

extern "C" {
/// A pipeline of the block, whose state is in shared memory.
__global__ void sum_rows_shared(const float *in, float *out, int rows,
                                int width) {
  __shared__ alignas(16) float stages[Stages][Width];
  __shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, Stages>
      state;
  auto pipeline = cuda::make_pipeline(cg::this_thread_block(), &state);
  sumRows(
      in, out, rows, width, stages, pipeline,
      [&](int) { pipeline.consumer_wait(); },
      [&] { pipeline.consumer_release(); });
}

/// A pipeline of each thread, and barriers between the threads.
__global__ void sum_rows(const float *in, float *out, int rows, int width) {
  __shared__ alignas(16) float stages[Stages][Width];
  auto pipeline = cuda::make_pipeline();
  sumRows(
      in, out, rows, width, stages, pipeline,
      [&](int newer) {
        if (newer == Stages - 1)
          cuda::pipeline_consumer_wait_prior<Stages - 1>(pipeline);
        else
          cuda::pipeline_consumer_wait_prior<0>(pipeline);
        __syncthreads();
      },
      [&] {
        __syncthreads();
        pipeline.consumer_release();
      });
}

/// out[i] = in[i]^2 + 1: the first half of the block fills a buffer that the
/// second half empties, each side waiting for the other at split barriers.
__global__ void hand_over(const int *in, int *out, int count) {
  using Barrier = cuda::barrier<cuda::thread_scope_block>;
  __shared__ Barrier filled, emptied;
  __shared__ int buffer[Width / 2];
  if (threadIdx.x == 0) {
    init(&filled, Width);
    init(&emptied, Width);
  }
  __syncthreads();
  const int lane = threadIdx.x % (Width / 2);
  if (threadIdx.x < Width / 2) {
    for (int i = 0; i < count; i += Width / 2) {
      emptied.arrive_and_wait();
      buffer[lane] = i + lane < count ? in[i + lane] : 0;
      (void)filled.arrive();
    }
  } else {
    Barrier::arrival_token token = emptied.arrive();
    for (int i = 0; i < count; i += Width / 2) {
      filled.arrive_and_wait();
      const int value = buffer[lane];
      if (i + Width / 2 < count)
        token = emptied.arrive();
      if (i + lane < count)
        out[i + lane] = value * value + 1;
    }
    (void)token;
  }
}
}

//===- KernelTest.cpp - Compiled kernels against references in double -*- C++
//-*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Whole kernels as the NVPTX backend writes them.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"
#include "KernelText.h"

#include <cmath>

using namespace ropewalk::emulator;

namespace {

using KernelTest = Fixture;

struct Matmul {
  int m, n, k;
  std::vector<float> a, b;
};

Matmul makeMatmul(int m, int n, int k) {
  return {m, n, k, randomFloats(size_t(m) * k, 1),
          randomFloats(size_t(k) * n, 2)};
}

// Guards tiled shared memory, predicated loads and stores, and fma.
TEST_F(KernelTest, MatmulMatchesDouble) {
  Matmul t = makeMatmul(70, 45, 83);
  uint64_t a = upload(t.a), b = upload(t.b), c = device.allocate(70 * 45 * 4);
  auto result =
      run(matmulPTX, {2, 3}, {32, 8}, arguments(a, b, c, t.m, t.n, t.k));
  ASSERT_RAN(result);
  auto got = download<float>(c, 70 * 45);
  for (int i = 0; i < t.m; ++i)
    for (int j = 0; j < t.n; ++j) {
      double sum = 0, size = 0;
      for (int k = 0; k < t.k; ++k) {
        double product = double(t.a[i * t.k + k]) * t.b[k * t.n + j];
        sum += product;
        size += std::fabs(product);
      }
      EXPECT_NEAR(got[i * t.n + j], sum, 83 * size * 0x1p-24) << i << "," << j;
    }
}

// Guards that fma chains round like the hardware's: bit by bit, in order.
TEST_F(KernelTest, MatmulIsBitExactAgainstFmaChain) {
  Matmul t = makeMatmul(32, 32, 64);
  uint64_t a = upload(t.a), b = upload(t.b), c = device.allocate(32 * 32 * 4);
  ASSERT_RAN(
      run(matmulPTX, {1, 1}, {32, 8}, arguments(a, b, c, t.m, t.n, t.k)));
  auto got = download<float>(c, 32 * 32);
  for (int i = 0; i < 32; ++i)
    for (int j = 0; j < 32; ++j) {
      float sum = 0;
      for (int k = 0; k < 64; ++k)
        sum = std::fma(t.a[i * 64 + k], t.b[k * 32 + j], sum);
      EXPECT_EQ(got[i * 32 + j], sum) << i << "," << j;
    }
}

// Guards that counters are exact and equal for every number of host threads.
TEST_F(KernelTest, CountersAreExactAndIndependentOfThreads) {
  Matmul t = makeMatmul(96, 64, 64);
  uint64_t a = upload(t.a), b = upload(t.b), c = device.allocate(96 * 64 * 4);
  std::vector<Counters> all;
  for (unsigned threads : {1u, 2u, 5u}) {
    LaunchOptions options;
    options.threads = threads;
    auto result = run(matmulPTX, {2, 3}, {32, 8},
                      arguments(a, b, c, t.m, t.n, t.k), 0, options);
    ASSERT_RAN(result);
    all.push_back(result.counters());
  }
  EXPECT_TRUE(all[0] == all[1]);
  EXPECT_TRUE(all[0] == all[2]);
  const Counters &counters = all[0];
  EXPECT_EQ(counters.blocks, 6u);
  EXPECT_EQ(counters.warps, 48u);
  // One fma for each product: 96 * 64 * 64.
  EXPECT_EQ(counters.laneByClass[size_t(InstClass::Float32)], 393216u);
  // Each block reads two tiles of 32x32 of each operand.
  EXPECT_EQ(counters.globalLoadBytes, 6u * 2 * 2 * 4096);
  EXPECT_EQ(counters.globalLoadSectors, 6u * 2 * 2 * 128);
  EXPECT_EQ(counters.globalStoreBytes, 96u * 64 * 4);
  EXPECT_EQ(counters.globalStoreSectors, 96u * 64 / 8);
  EXPECT_EQ(counters.barriers, 48u * 2 * 2);
  EXPECT_EQ(counters.sharedStoreTransactions, 6u * 2 * 64);
  EXPECT_EQ(counters.sharedStoreConflicts, 0u);
  EXPECT_EQ(counters.sharedLoadConflicts, 0u);
  EXPECT_EQ(counters.divergentBranches, 0u);
}

// Guards shuffles, ex2, division and block reductions.
TEST_F(KernelTest, SoftmaxMatchesDouble) {
  const int rows = 3, n = 1000;
  auto x = randomFloats(rows * n, 3, -20, 20);
  uint64_t in = upload(x), out = device.allocate(rows * n * 4);
  ASSERT_RAN(run(softmaxPTX, {rows}, {256}, arguments(in, out, n)));
  auto got = download<float>(out, rows * n);
  for (int r = 0; r < rows; ++r) {
    double most = -1e300, sum = 0;
    for (int i = 0; i < n; ++i)
      most = std::max(most, double(x[r * n + i]));
    for (int i = 0; i < n; ++i)
      sum += std::exp(x[r * n + i] - most);
    for (int i = 0; i < n; ++i) {
      double want = std::exp(x[r * n + i] - most) / sum;
      EXPECT_NEAR(got[r * n + i], want, want * 1e-5 + 1e-30) << r << "," << i;
    }
  }
}

// Guards warps that leave early and the online softmax.
TEST_F(KernelTest, CausalAttentionMatchesDouble) {
  const int s = 37, d = 64;
  auto q = randomFloats(s * d, 4), k = randomFloats(s * d, 5),
       v = randomFloats(s * d, 6);
  uint64_t qa = upload(q), ka = upload(k), va = upload(v),
           oa = device.allocate(s * d * 4);
  ASSERT_RAN(
      run(attentionPTX, {10}, {128}, arguments(qa, ka, va, oa, s, 0.125f)));
  auto got = download<float>(oa, s * d);
  for (int i = 0; i < s; ++i) {
    std::vector<double> p(i + 1), want(d);
    double most = -1e300, sum = 0;
    for (int j = 0; j <= i; ++j) {
      for (int e = 0; e < d; ++e)
        p[j] += double(q[i * d + e]) * k[j * d + e];
      p[j] *= 0.125;
      most = std::max(most, p[j]);
    }
    for (int j = 0; j <= i; ++j)
      sum += p[j] = std::exp(p[j] - most);
    for (int e = 0; e < d; ++e) {
      for (int j = 0; j <= i; ++j)
        want[e] += p[j] / sum * v[j * d + e];
      EXPECT_NEAR(got[i * d + e], want[e], 2e-6) << i << "," << e;
    }
  }
}

// Guards 64-bit division and remainder, gathers and rsqrt.
TEST_F(KernelTest, GatherMatchesDouble) {
  const int64_t cols = 33, rows = 20, repeat = 3;
  auto x = randomFloats(10 * cols, 7), w = randomFloats(cols, 8, 0.5, 2);
  std::vector<int64_t> index = {9, 0, 4, 2, 7, 7, 1};
  uint64_t xa = upload(x), ia = upload(index), wa = upload(w),
           ya = device.allocate(rows * cols * 4);
  ASSERT_RAN(run(gatherPTX, {6}, {128},
                 arguments(xa, ia, wa, ya, cols, rows, repeat)));
  auto got = download<float>(ya, rows * cols);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t c = 0; c < cols; ++c) {
      double want = x[index[i / repeat] * cols + c] / std::sqrt(double(w[c]));
      EXPECT_NEAR(got[i * cols + c], want, std::fabs(want) * 0x1p-22);
    }
}

// Guards divergence: loops of different lengths, breaks, early returns.
TEST_F(KernelTest, DivergentLoopsMatchScalarCode) {
  std::vector<uint32_t> x(150);
  for (uint32_t i = 0; i < x.size(); ++i)
    x[i] = i % 37 == 5 ? 0 : i * 7919 + 1;
  uint64_t in = upload(x), out = device.allocate(x.size() * 4);
  auto result = run(collatzPTX, {3}, {64}, arguments(in, out, 150u));
  ASSERT_RAN(result);
  EXPECT_GT(result.counters().divergentBranches, 100u);
  auto got = download<uint32_t>(out, x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    uint32_t v = x[i], c = v ? 0 : ~0u;
    while (v > 1) {
      if (v & 1) {
        if (v > 1000000) {
          c |= 0x80000000;
          break;
        }
        v = 3 * v + 1;
      } else {
        v >>= 1;
      }
      ++c;
    }
    EXPECT_EQ(got[i], c) << i;
  }
}

// Guards vector accesses and the narrow formats.
TEST_F(KernelTest, NarrowFormatsRoundToNearestEven) {
  auto x = randomFloats(256, 9, -300, 300);
  x[0] = 1.00390625f; // Halfway between bf16 numbers: goes to the even one.
  x[1] = 1.01171875f;
  uint64_t in = upload(x), out = device.allocate(1024);
  ASSERT_RAN(run(roundtripPTX, {1}, {64}, arguments(in, out)));
  auto got = download<float>(out, 256);
  auto round = [](double value, int digits) {
    int exponent;
    std::frexp(value, &exponent);
    return std::ldexp(std::nearbyint(std::ldexp(value, digits - exponent)),
                      exponent - digits);
  };
  for (int i = 0; i < 256; ++i)
    EXPECT_EQ(got[i], float(round(x[i], 8) + round(x[i], 11))) << x[i];
}

} // namespace

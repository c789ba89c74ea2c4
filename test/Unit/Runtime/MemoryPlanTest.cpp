//===- MemoryPlanTest.cpp - Tests of the arena and of rotary tables *- C++
//-*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Guards that temporaries which live at the same time never share a byte, on
// hand-made and on random requests, and that rotations composed of two levels
// are right at any position.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Runtime/MemoryPlan.h"
#include "Ropewalk/Runtime/Rotary.h"

#include "Support.h"

#include <cmath>
#include <limits>
#include <random>

using namespace ropewalk::runtime;
using namespace ropewalk::runtime::test;

namespace {

MemoryPlan plan(const std::vector<MemoryRequest> &requests) {
  Result<MemoryPlan> made = MemoryPlan::make(requests);
  EXPECT_TRUE(made) << messageOf(made);
  return made ? *made : MemoryPlan();
}

/// Byte ranges of requests alive at one time are disjoint, aligned and inside
/// the arena.
void expectSound(const std::vector<MemoryRequest> &requests,
                 const MemoryPlan &plan) {
  ASSERT_EQ(plan.offsets.size(), requests.size());
  int64_t peak = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    const MemoryRequest &a = requests[i];
    ASSERT_GE(plan.offsets[i], 0);
    ASSERT_EQ(plan.offsets[i] % 256, 0);
    ASSERT_LE(plan.offsets[i] + a.bytes, plan.total);
    int64_t live = 0;
    for (size_t j = 0; j < requests.size(); ++j) {
      const MemoryRequest &b = requests[j];
      if (b.first <= a.first && a.first <= b.last)
        live += (b.bytes + 255) / 256 * 256;
      if (j == i || a.bytes == 0 || b.bytes == 0 || a.last < b.first ||
          b.last < a.first)
        continue;
      ASSERT_TRUE(plan.offsets[i] + a.bytes <= plan.offsets[j] ||
                  plan.offsets[j] + b.bytes <= plan.offsets[i])
          << i << " and " << j << " overlap";
    }
    peak = std::max(peak, live);
  }
  // A request's beginning is where the most are alive.
  EXPECT_EQ(plan.peak, peak);
  EXPECT_GE(plan.total, plan.peak);
}

TEST(MemoryPlan, SharesMemoryOverTime) {
  // A chain: each lives until the next one is made.
  std::vector<MemoryRequest> requests;
  for (int64_t i = 0; i < 10; ++i)
    requests.push_back({1000, i, i + 1});
  MemoryPlan made = plan(requests);
  expectSound(requests, made);
  EXPECT_EQ(made.total, 2 * 1024);
  EXPECT_EQ(made.bytesPerToken(16), 128.0);
  EXPECT_EQ(made.bytesPerToken(0), 0.0);
}

/// The smallest gap is taken: 300 bytes fit between the two long-lived ones
/// and behind them, the larger gap stays free for the larger request.
TEST(MemoryPlan, TakesTheSmallestGap) {
  std::vector<MemoryRequest> requests = {
      {4096, 0, 0}, {2048, 0, 9}, {1024, 0, 0}, {1024, 0, 9}, {512, 1, 9}};
  MemoryPlan made = plan(requests);
  expectSound(requests, made);
  // Offsets 0, 4096, 6144, 7168; at time 1 the gaps are [0, 4096) and
  // [6144, 7168).
  EXPECT_EQ(made.offsets[4], 6144);
}

TEST(MemoryPlan, RandomRequestsNeverOverlap) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<MemoryRequest> requests;
    auto below = [&](int64_t limit) {
      return static_cast<int64_t>(random()) % limit;
    };
    for (int64_t i = below(60); i > 0; --i) {
      int64_t first = below(40);
      int64_t bytes = below(4) == 0 ? 0 : below(5000);
      requests.push_back({bytes, first, first + below(12)});
    }
    expectSound(requests, plan(requests));
  }
}

TEST(MemoryPlan, RefusesSizesBeyond63Bits) {
  int64_t maximum = std::numeric_limits<int64_t>::max();
  for (const std::vector<MemoryRequest> &requests :
       {std::vector<MemoryRequest>{{maximum, 0, 0}},
        {{maximum / 2, 0, 0}, {maximum / 2 + 1, 5, 5}}})
    EXPECT_EQ(messageOf(MemoryPlan::make(requests)),
              "the temporaries do not fit into 63 bits");
  MemoryRequest negative = {-1, 0, 0};
  EXPECT_EQ(messageOf(MemoryPlan::make({&negative, 1})),
            "a temporary of -1 bytes");
}

/// The reference is the long double cosine and sine of the exact angle.
TEST(RotaryTable, ProductIsRightAtEveryPosition) {
  std::vector<double> frequencies;
  for (int c = 0; c < 16; ++c)
    frequencies.push_back(std::pow(10000.0, -c / 16.0));
  const double factor = 1.25;
  const int64_t unit = 3;
  std::vector<float> low = makeRotaryTable(frequencies, factor, unit, false);
  std::vector<float> high = makeRotaryTable(frequencies, factor, unit, true);
  ASSERT_EQ(low.size(), 4096u * 16 * 2);
  ASSERT_EQ(high.size(), low.size());
  std::mt19937 random(3);
  std::vector<int64_t> positions = {0, 1, 4095, 4096, 4097, (1 << 24) - 1};
  for (int i = 0; i < 3000; ++i)
    positions.push_back(random() % (1 << 24));
  for (int64_t p : positions)
    for (size_t c = 0; c < frequencies.size(); ++c) {
      const float *l = &low[(static_cast<size_t>(p % 4096) * 16 + c) * 2];
      const float *h = &high[(static_cast<size_t>(p / 4096) * 16 + c) * 2];
      float cosine = h[0] * l[0] - h[1] * l[1];
      float sine = h[1] * l[0] + h[0] * l[1];
      long double angle = static_cast<long double>(p) *
                          static_cast<long double>(frequencies[c]) / unit;
      ASSERT_NEAR(cosine, static_cast<double>(std::cos(angle)) * factor, 4e-7)
          << p << " " << c;
      ASSERT_NEAR(sine, static_cast<double>(std::sin(angle)) * factor, 4e-7)
          << p << " " << c;
    }
}

} // namespace

//===- MmaKernelTest.cpp - A matmul on tensor cores -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// D = A * B with 64 x 64 elements, f16 to f32, by four warps: tiles in swizzled
// shared memory, ldmatrix and mma.sync. Rows of the tiles have 8 pieces of 16
// bytes; piece c of row r lies in place c xor (r mod 8).
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

using namespace ropewalk::emulator;

namespace {

constexpr unsigned Size = 64;

std::string numbered(const std::string &prefix, unsigned first,
                     unsigned count) {
  std::string text = "{";
  for (unsigned i = 0; i < count; ++i)
    text += (i ? ", " : "") + prefix + std::to_string(first + i);
  return text + "}";
}

/// Without `swizzles` the pieces lie in order, without `waits` the barrier
/// between the copy and its use is missing.
std::string matmulText(bool swizzles = true, bool waits = true) {
  std::string text = R"(.version 8.0
.target sm_80
.address_size 64
.visible .entry matmul(.param .u64 pa, .param .u64 pb, .param .u64 pd)
{
.reg .b32 %r<50>; .reg .f32 %f<32>; .reg .b64 %d<9>; .reg .pred %p<2>;
.shared .align 128 .b8 tiles[16384];
ld.param.u64 %d1, [pa]; ld.param.u64 %d2, [pb]; ld.param.u64 %d3, [pd];
mov.u32 %r1, %tid.x; mov.u32 %r2, tiles;
)";
  // Each thread copies 4 pieces of each matrix.
  for (unsigned i = 0; i < 4; ++i) {
    text += "add.u32 %r3, %r1, " + std::to_string(128 * i) +
            ";\nshr.u32 %r4, %r3, 3; and.b32 %r5, %r4, " +
            (swizzles ? "7" : "0") + R"(;
xor.b32 %r6, %r3, %r5; mad.lo.u32 %r7, %r6, 16, %r2;
mul.wide.u32 %d4, %r3, 16; add.s64 %d5, %d1, %d4; add.s64 %d6, %d2, %d4;
ld.global.v4.b32 {%r8, %r9, %r10, %r11}, [%d5];
st.shared.v4.b32 [%r7], {%r8, %r9, %r10, %r11};
ld.global.v4.b32 {%r8, %r9, %r10, %r11}, [%d6];
st.shared.v4.b32 [%r7+8192], {%r8, %r9, %r10, %r11};
)";
  }
  if (waits)
    text += "bar.sync 0;\n";
  // Lanes 0 to 15 address the left pieces of 16 rows, the others the right.
  text += R"(mov.u32 %r12, %laneid; shr.u32 %r13, %r1, 5;
and.b32 %r14, %r12, 15; shr.u32 %r15, %r12, 4;
and.b32 %r16, %r14, )" +
          std::string(swizzles ? "7" : "0") + R"(;
mad.lo.u32 %r17, %r13, 16, %r14; mad.lo.u32 %r17, %r17, 128, %r2;
mad.lo.u32 %r18, %r14, 128, %r2; mov.u32 %r19, 0;
)";
  for (unsigned i = 0; i < 32; ++i)
    text += "mov.f32 %f" + std::to_string(i) + ", 0f00000000;\n";
  text += R"(K:
mad.lo.u32 %r20, %r19, 2, %r15; xor.b32 %r20, %r20, %r16;
mad.lo.u32 %r20, %r20, 16, %r17;
ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r30, %r31, %r32, %r33}, [%r20];
)";
  for (unsigned j = 0; j < 4; ++j) {
    text += "add.u32 %r21, %r15, " + std::to_string(2 * j) +
            R"(; xor.b32 %r21, %r21, %r16;
mad.lo.u32 %r21, %r21, 16, %r18;
ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%r34, %r35, %r36, %r37}, [%r21+8192];
)";
    for (unsigned side = 0; side < 2; ++side) {
      std::string sums = numbered("%f", 8 * j + 4 * side, 4);
      text += "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 " + sums +
              ", {%r30, %r31, %r32, %r33}, " +
              numbered("%r", 34 + 2 * side, 2) + ", " + sums + ";\n";
    }
  }
  text += R"(add.u32 %r18, %r18, 2048; add.u32 %r19, %r19, 1;
setp.lt.u32 %p1, %r19, 4;
@%p1 bra K;
shr.u32 %r22, %r12, 2; and.b32 %r23, %r12, 3;
mad.lo.u32 %r22, %r13, 16, %r22; shl.b32 %r22, %r22, 6;
mad.lo.u32 %r22, %r23, 2, %r22; mul.wide.u32 %d7, %r22, 4;
add.s64 %d7, %d3, %d7;
)";
  for (unsigned tile = 0; tile < 8; ++tile)
    for (unsigned half = 0; half < 2; ++half)
      text += "st.global.v2.f32 [%d7+" +
              std::to_string(half * 8 * Size * 4 + tile * 32) + "], " +
              numbered("%f", 4 * tile + 2 * half, 2) + ";\n";
  return text + "ret;\n}\n";
}

struct MmaKernelTest : Fixture {
  std::vector<_Float16> a, b;
  uint64_t d = 0;

  LaunchResult launch(const std::string &text,
                      const LaunchOptions &options = {}) {
    std::mt19937 engine(5);
    auto fill = [&](std::vector<_Float16> &values) {
      values.resize(Size * Size);
      for (_Float16 &value : values)
        value = _Float16(float(int(engine() % 17) - 8));
    };
    fill(a);
    fill(b);
    d = device.allocate(Size * Size * 4);
    return run(text, {1}, {128}, arguments(upload(a), upload(b), d), 0,
               options);
  }
};

// Guards that ldmatrix and mma agree on fragments, with exact sums, and the
// counts of a kernel without bank conflicts.
TEST_F(MmaKernelTest, Matmul) {
  auto result = launch(matmulText());
  ASSERT_RAN(result);
  auto got = download<float>(d, Size * Size);
  uint64_t useful = 0;
  for (unsigned m = 0; m < Size; ++m)
    for (unsigned n = 0; n < Size; ++n) {
      int sum = 0;
      for (unsigned k = 0; k < Size; ++k) {
        int product = int(a[m * Size + k]) * int(b[k * Size + n]);
        sum += product;
        useful += product != 0;
      }
      ASSERT_EQ(got[m * Size + n], float(sum)) << m << ", " << n;
    }
  const Counters &counters = result.counters();
  EXPECT_EQ(counters.tensorFlops, 2u * Size * Size * Size);
  EXPECT_EQ(counters.usefulTensorFlops, 2 * useful);
  // 4 warps, 4 steps along k, 8 tiles; 5 ldmatrix with 4 transactions each.
  EXPECT_EQ(counters.warpByClass[size_t(InstClass::Matrix)], 128u);
  EXPECT_EQ(counters.warpByClass[size_t(InstClass::SharedLoad)], 80u);
  EXPECT_EQ(counters.sharedLoadTransactions, 320u);
  EXPECT_EQ(counters.sharedLoadConflicts, 0u);
  EXPECT_EQ(counters.sharedStoreConflicts, 0u);
}

// Guards that the swizzle is what avoids conflicts: without it the 8 rows of
// each matrix share their banks.
TEST_F(MmaKernelTest, ConflictsWithoutSwizzle) {
  auto result = launch(matmulText(false));
  ASSERT_RAN(result);
  EXPECT_EQ(result.counters().sharedLoadTransactions, 8u * 320);
  EXPECT_EQ(result.counters().sharedLoadConflicts, 7u * 320);
}

// Guards that the missing barrier is found: the first warp reads rows that
// others have not written yet, and these race with it.
TEST_F(MmaKernelTest, MissingBarrier) {
  LaunchOptions options;
  for (bool checks : {true, false}) {
    options.checkUninitializedMemory = checks;
    auto result = launch(matmulText(true, false), options);
    ASSERT_FALSE(bool(result)) << "the planted race was not found";
    EXPECT_EQ(result.report().kind,
              checks ? ReportKind::UninitializedMemory : ReportKind::SharedRace)
        << result.report().str();
  }
}

} // namespace

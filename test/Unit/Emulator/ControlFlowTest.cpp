//===- ControlFlowTest.cpp - Divergence, warp-level barriers, atomics, counts
//-*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Small kernels that stress the order in which lanes and warps run.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

#include <set>

using namespace ropewalk::emulator;

namespace {

struct ControlFlowTest : Fixture {
  /// Runs `body`, which leaves its result in %r0, and returns it by thread.
  std::vector<uint32_t> results(const std::string &body, uint32_t threads,
                                const std::string &before = "",
                                uint64_t seed = 0) {
    LaunchOptions options;
    options.scheduleSeed = seed;
    uint64_t out = device.allocate(threads * 4);
    std::string tail = "\nld.param.u64 %d30, [p0]; mov.u32 %r30, %tid.x;\n"
                       "mul.wide.u32 %d31, %r30, 4;\n"
                       "add.s64 %d30, %d30, %d31; st.global.u32 [%d30], %r0;";
    auto result = run(hopperText(entryText(
                          "mov.u32 %r1, %tid.x;\n" + body + tail, 1, before)),
                      {1}, {threads}, arguments(out), 0, options);
    EXPECT_TRUE(bool(result)) << result.report().str();
    if (result)
      last = result.counters();
    return download<uint32_t>(out, threads);
  }
  Counters last;
};

// Guards that the arms of a branch meet again: the shuffle sees all lanes.
TEST_F(ControlFlowTest, BranchesReconverge) {
  auto got = results("and.b32 %r2, %r1, 1; setp.eq.u32 %p1, %r2, 0;\n"
                     "@%p1 bra EVEN;\nmul.lo.u32 %r3, %r1, 10; bra.uni END;\n"
                     "EVEN: add.u32 %r3, %r1, 1000;\nEND:\n"
                     "shfl.sync.bfly.b32 %r0, %r3, 1, 31, -1;",
                     32);
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(got[i], (i ^ 1) & 1 ? (i ^ 1) * 10 : (i ^ 1) + 1000);
  EXPECT_EQ(last.divergentBranches, 1u);
  EXPECT_EQ(last.warpByClass[size_t(InstClass::WarpExchange)], 1u);
}

// Guards that a loop with a trip count per lane meets once, after the last.
TEST_F(ControlFlowTest, LoopsReconvergeAfterTheLastLane) {
  auto got = results("mov.u32 %r2, 0; mov.u32 %r3, 0;\nL:\n"
                     "add.u32 %r3, %r3, %r2; add.u32 %r2, %r2, 1;\n"
                     "setp.le.u32 %p1, %r2, %r1;\n@%p1 bra L;\n"
                     "shfl.sync.idx.b32 %r0, %r3, 31, 31, -1;",
                     32);
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(got[i], 31u * 32 / 2);
  EXPECT_EQ(last.divergentBranches, 31u);
}

// Guards that lanes wait for each other in different arms of a branch.
TEST_F(ControlFlowTest, WarpBarrierAcrossArms) {
  auto got = results("setp.lt.u32 %p1, %r1, 16;\nmov.u32 %r5, s;\n"
                     "@%p1 bra A;\n"
                     "bar.warp.sync -1;\nld.shared.u32 %r0, [%r5]; bra.uni E;\n"
                     "A: st.shared.u32 [%r5], 77;\nbar.warp.sync -1;\n"
                     "mov.u32 %r0, 5;\nE:",
                     32, ".shared .align 4 .b8 s[4];");
  EXPECT_EQ(got[0], 5u);
  EXPECT_EQ(got[31], 77u);
}

// Guards that a shuffle in a divergent place waits for all its members.
TEST_F(ControlFlowTest, ShuffleWaitsForItsMembers) {
  auto got = results("setp.lt.u32 %p1, %r1, 16;\nmov.u32 %r2, %r1;\n"
                     "@%p1 bra X;\nadd.u32 %r2, %r2, 100;\n"
                     "X: shfl.sync.bfly.b32 %r0, %r2, 16, 31, -1;",
                     32);
  EXPECT_EQ(got[0], 116u);
  EXPECT_EQ(got[16], 0u);
}

// Guards early exits inside of loops and branches.
TEST_F(ControlFlowTest, LanesExitInsideOfBranches) {
  uint64_t out = device.allocate(128);
  device.fill(out, 0, 128);
  auto result =
      run(entryText("mov.u32 %r1, %tid.x;\nmov.u32 %r2, 0;\nL:\n"
                    "setp.eq.u32 %p1, %r2, %r1;\n@%p1 bra W;\n"
                    "add.u32 %r2, %r2, 1; bra.uni L;\nW:\n"
                    "setp.gt.u32 %p2, %r1, 20;\n@%p2 exit;\n"
                    "ld.param.u64 %d1, [p0]; mul.wide.u32 %d2, %r1, 4;"
                    "\nadd.s64 %d1, %d1, %d2;\n"
                    "st.global.u32 [%d1], %r2;",
                    1),
          {1}, {32}, arguments(out));
  ASSERT_RAN(result);
  auto got = download<uint32_t>(out, 32);
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(got[i], i > 20 ? 0 : i);
}

// Guards indexed branches with all targets taken in one warp.
TEST_F(ControlFlowTest, IndexedBranch) {
  auto got = results("and.b32 %r2, %r1, 3;\nT: .branchtargets A, B, C, D;\n"
                     "brx.idx %r2, T;\nA: mov.u32 %r0, 10; bra.uni E;\n"
                     "B: mov.u32 %r0, 11; bra.uni E;\n"
                     "C: mov.u32 %r0, 12; bra.uni E;\nD: mov.u32 %r0, 13;\nE:",
                     32);
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(got[i], 10 + i % 4);
}

// Guards votes, matches and reductions.
TEST_F(ControlFlowTest, WarpExchange) {
  auto got = results("setp.lt.u32 %p1, %r1, 5;\n"
                     "vote.sync.ballot.b32 %r0, %p1, -1;",
                     32);
  EXPECT_EQ(got[9], 31u);
  got = results("setp.lt.u32 %p1, %r1, 5; vote.sync.any.pred %p2, %p1, -1;\n"
                "selp.u32 %r0, 1, 0, %p2;",
                32);
  EXPECT_EQ(got[31], 1u);
  got = results("redux.sync.add.s32 %r0, %r1, -1;", 32);
  EXPECT_EQ(got[3], 496u);
  got = results("redux.sync.max.u32 %r0, %r1, -1;", 20);
  EXPECT_EQ(got[3], 19u);
  got = results("and.b32 %r2, %r1, 1; match.any.sync.b32 %r0, %r2, -1;", 32);
  EXPECT_EQ(got[1], 0xaaaaaaaau);
  got = results("shfl.sync.up.b32 %r0|%p1, %r1, 2, 0, -1;\n"
                "@!%p1 mov.u32 %r0, 99;",
                32);
  EXPECT_EQ(got[1], 99u);
  EXPECT_EQ(got[5], 3u);
  // Segments of 8 lanes: c = 0x1807.
  got = results("shfl.sync.down.b32 %r0, %r1, 3, 0x1807, -1;", 32);
  EXPECT_EQ(got[4], 7u);
  EXPECT_EQ(got[6], 6u);
  got = results("activemask.b32 %r0;", 12);
  EXPECT_EQ(got[0], 0xfffu);
  got = results("elect.sync _|%p1, -1; selp.u32 %r0, 1, 0, %p1;", 32);
  EXPECT_EQ(got[0], 1u);
  EXPECT_EQ(got[1], 0u);
}

// Guards that which lane is elected depends on the seed, but is the same for
// the same members, and one of them.
TEST_F(ControlFlowTest, AnyLaneMayBeElected) {
  std::set<uint32_t> elected;
  for (uint64_t seed = 0; seed < 16; ++seed) {
    auto got = results("setp.ge.u32 %p3, %r1, 8; mov.u32 %r0, 99;\n"
                       "@!%p3 bra DONE;\n"
                       "elect.sync %r2|%p1, 0xffffff00;\n"
                       "elect.sync %r3|%p2, 0xffffff00;\n"
                       "selp.u32 %r0, 1, 0, %p1; @%p2 add.u32 %r0, %r0, 2;\n"
                       "shl.b32 %r2, %r2, 2; shl.b32 %r3, %r3, 8;\n"
                       "or.b32 %r0, %r0, %r2; or.b32 %r0, %r0, %r3;\nDONE:",
                       32, "", seed);
    uint32_t leader = got[8] >> 8;
    EXPECT_TRUE(leader >= 8 && leader < 32) << leader;
    EXPECT_TRUE(seed || leader == 8);
    for (uint32_t lane = 0; lane < 32; ++lane)
      EXPECT_EQ(got[lane],
                lane < 8 ? 99
                         : leader << 8 | leader << 2 | (lane == leader ? 3 : 0))
          << "lane " << lane << ", seed " << seed;
    elected.insert(leader);
  }
  EXPECT_GT(elected.size(), 4u);
}

// Guards barrier reductions over several warps.
TEST_F(ControlFlowTest, BarrierReductions) {
  auto got = results("setp.lt.u32 %p1, %r1, 40;\n"
                     "bar.red.popc.u32 %r0, 0, %p1;",
                     96);
  EXPECT_EQ(got[0], 40u);
  EXPECT_EQ(got[95], 40u);
  got = results("setp.lt.u32 %p1, %r1, 40;\n"
                "barrier.red.and.aligned.pred %p2, 0, %p1;\n"
                "selp.u32 %r0, 1, 0, %p2;",
                64);
  EXPECT_EQ(got[0], 0u);
}

// Guards atomics in both spaces and their determinism over threads.
TEST_F(ControlFlowTest, Atomics) {
  uint64_t cell = device.allocate(32);
  std::string body = "ld.param.u64 %d1, [p0];\nmov.u32 %r1, %tid.x;\n"
                     "atom.global.add.u32 %r2, [%d1], 1;\n"
                     "red.global.max.s32 [%d1+4], %r1;\n"
                     "red.global.add.f32 [%d1+8], 0f3F000000;\n"
                     "atom.global.inc.u32 %r3, [%d1+12], 9;\n"
                     "red.global.add.f64 [%d1+16], 0d3FF0000000000000;\n"
                     "atom.global.cas.b32 %r4, [%d1+24], 0, 5;\n"
                     "atom.add.u64 %d3, [%d1+16], 0;";
  for (unsigned threads : {1u, 4u}) {
    device.fill(cell, 0, 32);
    LaunchOptions options;
    options.threads = threads;
    ASSERT_RAN(run(entryText(body, 1), {5}, {64}, arguments(cell), 0, options));
    auto words = download<uint32_t>(cell, 8);
    EXPECT_EQ(words[0], 320u);
    EXPECT_EQ(words[1], 63u);
    EXPECT_EQ(std::bit_cast<float>(words[2]), 160.0f);
    EXPECT_EQ(words[3], 0u); // 320 steps modulo 10.
    EXPECT_EQ(download<double>(cell + 16, 1)[0], 320.0);
    EXPECT_EQ(words[6], 5u);
  }
}

// Guards blocks that wait for later blocks.
TEST_F(ControlFlowTest, BlocksMayWaitForEachOther) {
  uint64_t cell = device.allocate(4);
  device.fill(cell, 0, 4);
  ASSERT_RAN(run(entryText("ld.param.u64 %d1, [p0];\n"
                           "red.global.add.u32 [%d1], 1;\n"
                           "L: ld.volatile.global.u32 %r1, [%d1];\n"
                           "setp.ne.u32 %p1, %r1, 3;\n@%p1 bra L;",
                           1),
                 {3}, {1}, arguments(cell)));
}

// Guards the counts of bank conflicts by stride and width.
TEST_F(ControlFlowTest, BankConflicts) {
  std::string before = ".shared .align 16 .b8 s[8192];";
  auto transactions = [&](unsigned stride, const std::string &access) {
    results("mov.u32 %r0, 0; mul.lo.u32 %r2, %r1, " + std::to_string(stride) +
                "; mov.u32 %r3, s; add.u32 %r2, %r2, %r3;\n" + access,
            32, before);
    return std::pair(last.sharedStoreTransactions, last.sharedStoreConflicts);
  };
  std::string word = "st.shared.u32 [%r2], 1;";
  EXPECT_EQ(transactions(4, word), std::pair(1ul, 0ul));
  EXPECT_EQ(transactions(0, word), std::pair(1ul, 0ul));
  EXPECT_EQ(transactions(8, word), std::pair(2ul, 1ul));
  EXPECT_EQ(transactions(128, word), std::pair(32ul, 31ul));
  EXPECT_EQ(transactions(132, word), std::pair(1ul, 0ul));
  EXPECT_EQ(transactions(8, "st.shared.v2.u32 [%r2], {1, 2};"),
            std::pair(2ul, 0ul));
  EXPECT_EQ(transactions(16, "st.shared.v4.u32 [%r2], {1, 2, 3, 4};"),
            std::pair(4ul, 0ul));
  EXPECT_EQ(transactions(64, "st.shared.v4.u32 [%r2], {1, 2, 3, 4};"),
            std::pair(16ul, 12ul));
  EXPECT_EQ(transactions(1, "st.shared.u8 [%r2], 1;"), std::pair(1ul, 0ul));
}

// Guards the counts of sectors by stride and width.
TEST_F(ControlFlowTest, GlobalSectors) {
  uint64_t buffer = device.allocate(8192);
  device.fill(buffer, 0, 8192);
  auto sectors = [&](unsigned stride, const std::string &access) {
    auto result = run(entryText("mov.u32 %r1, %tid.x; ld.param.u64 %d1, [p0];\n"
                                "mul.wide.u32 %d2, %r1, " +
                                    std::to_string(stride) +
                                    "; add.s64 %d1, %d1, %d2;\n" + access,
                                1),
                      {1}, {32}, arguments(buffer));
    EXPECT_TRUE(bool(result)) << result.report().str();
    return result.counters().globalLoadSectors;
  };
  EXPECT_EQ(sectors(4, "ld.global.u32 %r2, [%d1];"), 4u);
  EXPECT_EQ(sectors(4, "ld.global.u32 %r2, [%d1+16];"), 5u);
  EXPECT_EQ(sectors(0, "ld.global.u32 %r2, [%d1];"), 1u);
  EXPECT_EQ(sectors(32, "ld.global.u32 %r2, [%d1];"), 32u);
  EXPECT_EQ(sectors(16, "ld.global.v4.u32 {%r2, %r3, %r4, %r5}, [%d1];"), 16u);
  EXPECT_EQ(sectors(2, "ld.global.u16 %h2, [%d1];"), 2u);
  // Backwards, with repeated sectors.
  EXPECT_EQ(sectors(0, "xor.b32 %r3, %r1, 31; mul.wide.u32 %d4, %r3, 8;\n"
                       "add.s64 %d4, %d4, %d1; ld.global.u32 %r2, [%d4];"),
            8u);
}

// Guards dynamic shared memory behind static memory, and constants.
TEST_F(ControlFlowTest, VariablesOfAllSpaces) {
  std::string text = entryText(
      "mov.u32 %r1, dyn; st.shared.u32 [%r1+28], 9; st.shared.u32 [one], 1;\n"
      "ld.shared.u32 %r2, [dyn+28]; ld.const.f32 %r3, [table+8];\n"
      "ld.global.u64 %d1, [link]; ld.global.u32 %r4, [%d1];\n"
      "ld.param.u64 %d2, [p0]; st.global.v4.u32 [%d2], {%r2, %r3, %r4, 4};\n"
      "mov.u64 %d3, table; cvta.const.u64 %d3, %d3; ld.f32 %r5, [%d3+4];\n"
      "st.global.u32 [%d2+16], %r5;",
      1,
      ".shared .align 4 .b8 one[4];\n.extern .shared .align 16 .b8 dyn[];\n"
      ".const .align 4 .f32 table[3] = {0f3F800000, 2.5, 0f40400000};\n"
      ".global .align 4 .u32 values[3] = {1, 2, 33};\n"
      ".global .align 8 .u64 link[1] = {generic(values)+8};\n");
  uint64_t out = device.allocate(20);
  ASSERT_RAN(run(text, {1}, {1}, arguments(out), 32));
  auto got = download<uint32_t>(out, 5);
  EXPECT_EQ(got[0], 9u);
  EXPECT_EQ(std::bit_cast<float>(got[1]), 3.0f);
  EXPECT_EQ(got[2], 33u);
  EXPECT_EQ(std::bit_cast<float>(got[4]), 2.5f);
  EXPECT_FALSE(bool(run(text, {1}, {1}, arguments(out), 28)));
}

// Guards registers that share a row: predicates of lanes on one side of a
// branch and 16-bit values of those on the other, under schedules that switch
// sides.
TEST_F(ControlFlowTest, SidesOfABranchKeepTheirRegisters) {
  std::string body = "ld.param.u64 %d1, [p0]; mov.u32 %r1, %tid.x;\n"
                     "and.b32 %r2, %r1, 1; setp.eq.u32 %p1, %r2, 0;\n"
                     "mov.u32 %r9, 0;\n@%p1 bra EVEN;\n";
  for (int i = 0; i < 5; ++i) {
    std::string bit = std::to_string(i);
    body += "shr.u32 %r3, %r1, " + bit +
            "; and.b32 %r3, %r3, 1; setp.eq.u32 %p2, %r3, 1;\n"
            "mov.u32 %r4, " +
            bit + "; mov.u32 %r4, %r4; @%p2 add.u32 %r9, %r9, " +
            std::to_string(1 << i) + ";\n";
  }
  body += "bra MEET;\nEVEN:\ncvt.u16.u32 %h1, %r1;\n";
  for (int i = 0; i < 20; ++i)
    body += "add.s16 %h2, %h1, 3; xor.b16 %h1, %h2, 0x1234;\n";
  body += "cvt.u32.u16 %r9, %h1;\nMEET:\nmul.wide.u32 %d2, %r1, 4; "
          "add.s64 %d1, %d1, %d2; st.global.u32 [%d1], %r9;";
  std::vector<uint32_t> expected(32);
  for (uint32_t lane = 0; lane < 32; ++lane) {
    uint16_t value = uint16_t(lane);
    for (int i = 0; i < 20; ++i)
      value = uint16_t(value + 3) ^ 0x1234;
    expected[lane] = lane % 2 ? lane : value;
  }
  uint64_t out = device.allocate(128);
  LaunchOptions options;
  for (options.scheduleSeed = 0; options.scheduleSeed < 40;
       ++options.scheduleSeed) {
    ASSERT_RAN(run(entryText(body, 1), {1}, {32}, arguments(out), 0, options));
    ASSERT_EQ(download<uint32_t>(out, 32), expected) << options.scheduleSeed;
  }
}

} // namespace

//===- RaceTest.cpp - Races in shared memory --------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Planted races and their clean twins. Every one runs under several schedules
// and numbers of host threads, and has the same outcome in all.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

#include <algorithm>

using namespace ropewalk::emulator;

namespace {

struct RaceTest : Fixture {
  static std::string text(const std::string &body) {
    // %r1 thread, %r2 address of its own word, %r3 of its neighbour's in the
    // warp, %r4 of the same lane's in the next warp, %r5 warp, %r6 lane.
    return entryText("mov.u32 %r1, %tid.x; shr.u32 %r5, %r1, 5;\n"
                     "and.b32 %r6, %r1, 31; mov.u32 %r9, s;\n"
                     "shl.b32 %r2, %r1, 2; xor.b32 %r3, %r2, 4;\n"
                     "xor.b32 %r4, %r2, 128; add.u32 %r2, %r2, %r9;\n"
                     "add.u32 %r3, %r3, %r9; add.u32 %r4, %r4, %r9;\n"
                     "setp.eq.u32 %p1, %r5, 0; setp.eq.u32 %p2, %r6, 0;\n"
                     "setp.eq.u32 %p3, %r1, 0; setp.ne.u32 %p4, %r5, 0;\n" +
                         body,
                     1, ".shared .align 16 .b8 s[2048];\n");
  }
  std::vector<LaunchOptions> schedules() {
    std::vector<LaunchOptions> list;
    for (uint64_t seed : {0, 1, 2, 77, 12345})
      for (unsigned threads : {1u, 2u}) {
        list.emplace_back();
        list.back().scheduleSeed = seed;
        list.back().threads = threads;
        // A read that comes too early is to be found as a race.
        list.back().checkUninitializedMemory = false;
      }
    return list;
  }
  void expectClean(const std::string &body, uint32_t threads = 64) {
    for (const LaunchOptions &options : schedules()) {
      auto result =
          run(text(body), {3}, {threads}, arguments(uint64_t(0)), 0, options);
      EXPECT_TRUE(bool(result)) << "seed " << options.scheduleSeed << ": "
                                << result.report().str() << "\n"
                                << body;
    }
  }
  /// Expects a report about the instructions `first` and `second`, in either
  /// order.
  void expectRace(const std::string &body, const std::string &first,
                  const std::string &second, uint32_t threads = 64) {
    for (const LaunchOptions &options : schedules()) {
      auto result =
          run(text(body), {3}, {threads}, arguments(uint64_t(0)), 0, options);
      ASSERT_FALSE(bool(result))
          << "seed " << options.scheduleSeed << ": not found\n"
          << body;
      const Report &report = result.report();
      EXPECT_EQ(report.kind, ReportKind::SharedRace) << report.str();
      EXPECT_EQ(report.block, 0) << report.str();
      EXPECT_EQ(report.other.block, 0) << report.str();
      EXPECT_TRUE(report.hasAddress);
      auto lineOf = [&](const std::string &part) {
        std::string all = text(body);
        size_t place = all.find(part);
        EXPECT_NE(place, std::string::npos) << part;
        return uint32_t(
            1 + std::count(all.begin(), all.begin() + ptrdiff_t(place), '\n'));
      };
      uint32_t a = lineOf(first), b = lineOf(second);
      uint32_t here = report.location.line, there = report.other.location.line;
      EXPECT_TRUE((here == a && there == b) || (here == b && there == a))
          << report.str() << " expected lines " << a << " and " << b;
    }
  }
};

const std::string storeOwn = "st.shared.u32 [%r2], %r1;\n";
const std::string loadOwn = "ld.shared.u32 %r10, [%r2];\n";
const std::string loadNeighbour = "ld.shared.u32 %r11, [%r3];\n";
const std::string storeNeighbour = "st.shared.u32 [%r3], %r5;\n";
const std::string loadNext = "ld.shared.u32 %r12, [%r4];\n";
const std::string storeNext = "st.shared.u32 [%r4], %r6;\n";
const std::string warpSync = "bar.warp.sync 0xffffffff;\n";
const std::string barrier = "bar.sync 0;\n";

// Guards that lanes of one warp are not ordered by running together.
TEST_F(RaceTest, WithinAWarp) {
  expectClean(storeOwn + loadOwn + storeOwn);
  expectRace(storeOwn + loadNeighbour, "st.shared", "ld.shared");
  expectClean(storeOwn + warpSync + loadNeighbour);
  expectClean(storeOwn + barrier + loadNeighbour);
  expectRace(storeOwn + warpSync + loadNeighbour + storeOwn, "ld.shared",
             "st.shared.u32 [%r2], %r1;\n\n");
  expectClean(storeOwn + warpSync + loadNeighbour + warpSync + storeOwn);
  expectRace(storeOwn + storeNeighbour, "st.shared.u32 [%r2]",
             "st.shared.u32 [%r3]");
  expectClean(storeOwn + warpSync + storeNeighbour);
  // Neither exchange between lanes nor votes order memory.
  expectRace(storeOwn + "shfl.sync.idx.b32 %r20, %r1, 0, 31, -1;\n" +
                 loadNeighbour,
             "st.shared", "ld.shared");
  expectRace(storeOwn + "vote.sync.any.pred %p9, %p1, -1;\n" + loadNeighbour,
             "st.shared", "ld.shared");
}

// Guards that only the lanes of the member mask are ordered.
TEST_F(RaceTest, PartOfAWarp) {
  std::string half = "setp.lt.u32 %p5, %r6, 16;\n";
  // Lanes 0 to 15 synchronize; all read their neighbour.
  expectClean(half + storeOwn +
              "@%p5 bar.warp.sync 0xffff;\n@!%p5 "
              "bar.warp.sync 0xffff0000;\n" +
              loadNeighbour);
  expectRace(half + storeOwn + "@%p5 bar.warp.sync 0xffff;\n" + loadNeighbour,
             "st.shared", "ld.shared");
  // Chains of overlapping groups order transitively.
  std::string chain =
      "@%p3 st.shared.u32 [s], 5;\nsetp.lt.u32 %p6, %r1, 2;\n"
      "setp.eq.u32 %p7, %r1, 1; setp.eq.u32 %p8, %r1, 2; or.pred %p9, %p7, "
      "%p8;\n@%p6 bar.warp.sync 3;\n@%p9 bar.warp.sync 6;\n"
      "@%p8 ld.shared.u32 %r11, [s];\n";
  expectClean(chain);
  std::string swapped = chain;
  swapped.replace(swapped.find("@%p6 bar.warp.sync 3;"), 21,
                  "                     ");
  expectRace(swapped, "st.shared", "ld.shared");
}

// Guards stores of two lanes of one instruction to one place.
TEST_F(RaceTest, WithinAnInstruction) {
  expectRace("st.shared.u32 [s], %r6;\n", "st.shared", "st.shared", 32);
  expectClean("st.shared.u32 [s], 7;\n", 32);
  // Pairs of lanes share a word.
  std::string pairs = "shr.u32 %r20, %r6, 1; shl.b32 %r21, %r20, 2;\n"
                      "add.u32 %r21, %r21, %r9;\n";
  expectClean(pairs + "st.shared.u32 [%r21], %r20;\n", 32);
  expectRace(pairs + "st.shared.u32 [%r21], %r6;\n", "st.shared", "st.shared",
             32);
  // Every lane knows what it has written itself.
  expectClean(pairs + "st.shared.u32 [%r21], %r20;\n"
                      "ld.shared.u32 %r11, [%r21];\n",
              32);
  expectClean("st.shared.u32 [s], 7;\nld.shared.u32 %r11, [s];\n", 32);
  // Overlapping without being equal.
  expectRace("@%p2 st.shared.u32 [s], 7;\n"
             "setp.eq.u32 %p6, %r6, 1; @%p6 st.shared.u16 [s+2], 8;\n",
             "st.shared.u32", "st.shared.u16", 32);
}

// Guards all kinds of conflict between warps, and the barriers between.
TEST_F(RaceTest, BetweenWarps) {
  expectRace(storeOwn + warpSync + loadNext + barrier + storeOwn,
             "st.shared.u32", "ld.shared");
  expectClean(storeOwn + barrier + loadNext);
  expectRace(storeOwn + barrier + loadNext + "\n" + storeOwn, "ld.shared",
             "st.shared.u32 [%r2], %r1;\n\n");
  expectClean(storeOwn + barrier + loadNext + barrier + storeOwn);
  expectRace(storeOwn + storeNext, "st.shared.u32 [%r2]",
             "st.shared.u32 [%r4]");
  expectClean(storeOwn + barrier + storeNext);
  // Also for reductions.
  expectClean(storeOwn + "bar.red.popc.u32 %r20, 0, %p1;\n" + loadNext);
}

// Guards stores of the same bytes, as compilers replicate them.
TEST_F(RaceTest, EqualStoresAreNoRace) {
  std::string replicated = "shl.b32 %r20, %r6, 2; add.u32 %r20, %r20, %r9;\n"
                           "st.shared.u32 [%r20], %r6;\n";
  expectClean(replicated);
  expectClean(replicated, 256);
  // Each may read what it has written itself, and all after a barrier.
  expectClean(replicated + "ld.shared.u32 %r21, [%r20];\n", 128);
  expectClean(replicated + barrier + "ld.shared.u32 %r21, [s+4];\n", 128);
  // A reader that did not write is not ordered after any of them.
  std::string some = "setp.lt.u32 %p5, %r5, 2;\n"
                     "shl.b32 %r20, %r6, 2; add.u32 %r20, %r20, %r9;\n"
                     "@%p5 st.shared.u32 [%r20], %r6;\n";
  expectClean(some, 96);
  expectRace("@%p3 st.shared.u32 [s], 0;\n" + barrier + some +
                 "@!%p5 ld.shared.u32 %r21, [%r20];\n",
             "@%p5 st.shared", "@!%p5 ld.shared", 96);
  // A different value is a race with all of them.
  expectRace(replicated + "setp.eq.u32 %p5, %r1, 37;\n"
                          "@%p5 st.shared.u32 [%r20], 1000;\n",
             "st.shared.u32 [%r20], %r6", "@%p5 st.shared", 128);
}

// Guards each byte by itself.
TEST_F(RaceTest, Bytes) {
  std::string bytes = "add.u32 %r20, %r1, %r9; cvt.u16.u32 %h1, %r1;\n"
                      "st.shared.u8 [%r20], %h1;\n";
  expectClean(bytes + "ld.shared.u8 %h2, [%r20];\n"
                      "st.shared.u8 [%r20], %h2;\n");
  expectRace(bytes + "xor.b32 %r21, %r1, 1; add.u32 %r21, %r21, %r9;\n"
                     "ld.shared.u8 %h2, [%r21];\n",
             "st.shared.u8", "ld.shared.u8");
  // Halves of words, each read and written by its own lane.
  std::string halves = "shl.b32 %r20, %r1, 1; add.u32 %r20, %r20, %r9;\n"
                       "cvt.u16.u32 %h1, %r1;\nst.shared.u16 [%r20], %h1;\n";
  expectClean(halves + "ld.shared.u16 %h2, [%r20];\n"
                       "st.shared.u16 [%r20], %h2;\n");
  expectRace(halves + "and.b32 %r21, %r20, 0xfffc;\n"
                      "ld.shared.u32 %r22, [%r21];\n",
             "st.shared.u16", "ld.shared.u32");
}

// Guards wide accesses, contiguous and scattered.
TEST_F(RaceTest, Vectors) {
  std::string wide = "shl.b32 %r20, %r1, 4; add.u32 %r20, %r20, %r9;\n"
                     "st.shared.v4.u32 [%r20], {%r1, %r1, %r1, %r1};\n";
  expectClean(wide + "ld.shared.v4.u32 {%r21, %r22, %r23, %r24}, [%r20];\n");
  expectClean(wide + barrier + "ld.shared.u32 %r21, [%r2];\n");
  expectRace(wide + "ld.shared.u32 %r21, [%r2];\n", "st.shared.v4",
             "ld.shared.u32");
  // Rows as ldmatrix reads them: lanes 8 apart read neighbouring 16 bytes.
  std::string rows =
      "and.b32 %r21, %r6, 7; shl.b32 %r21, %r21, 6; shr.u32 %r22, %r6, 3;\n"
      "shl.b32 %r22, %r22, 4; add.u32 %r21, %r21, %r22;\n"
      "shl.b32 %r23, %r5, 9; add.u32 %r21, %r21, %r23;\n"
      "add.u32 %r21, %r21, %r9;\n"
      "ld.shared.v4.u32 {%r24, %r25, %r26, %r27}, [%r21];\n";
  expectClean(wide + warpSync + rows);
  expectRace(wide + rows, "st.shared.v4", "ld.shared.v4");
}

// Guards the order of named barriers: who arrives, who waits.
TEST_F(RaceTest, NamedBarriers) {
  // Warp 0 produces for warp 1 and goes on; warp 1 hands the place back.
  std::string head = "@%p1 bra PRODUCE;\n";
  std::string consume = "bar.sync 1, 64;\nld.shared.u32 %r20, [s+8];\n";
  std::string produce = "ret;\nPRODUCE:\nst.shared.u32 [%r2], %r1;\n"
                        "bar.arrive 1, 64;\n";
  std::string again = "st.shared.u32 [%r2], 99;\n";
  expectClean(head + consume + produce);
  expectRace(head + consume + produce + again, "ld.shared",
             "st.shared.u32 [%r2], 99");
  expectClean(head + consume + "bar.arrive 2, 64;\n" + produce +
              "bar.sync 2, 64;\n" + again);
  // An arrival alone tells the one that arrives nothing.
  expectRace(head + "st.shared.u32 [%r4], 5;\nbar.arrive 1, 64;\nret;\n"
                    "PRODUCE:\nbar.arrive 2, 64;\nst.shared.u32 [%r2], 6;\n"
                    "bar.sync 1, 64;\nret;\n",
             "st.shared.u32 [%r4], 5", "st.shared.u32 [%r2], 6");
  // Barriers order transitively through a third warp.
  std::string chain = "setp.eq.u32 %p5, %r5, 1;\n@%p1 bra A;\n@%p5 bra B;\n"
                      "bar.sync 2, 64;\nld.shared.u32 %r20, [s];\nret;\n"
                      "B:\nbar.sync 1, 64;\nbar.arrive 2, 64;\nret;\n"
                      "A:\nst.shared.u32 [%r2], %r1;\nbar.arrive 1, 64;\n";
  expectClean(chain, 96);
}

// Guards atomics and other strong accesses against weak ones.
TEST_F(RaceTest, StrongAccesses) {
  std::string init = "st.shared.u32 [%r2], 0;\n" + barrier;
  std::string count = "atom.shared.add.u32 %r20, [s], 1;\n";
  expectClean(init + count + count, 128);
  expectRace(init + count + "ld.shared.u32 %r21, [s];\n", "atom.shared",
             "ld.shared", 128);
  expectClean(init + count + barrier + "ld.shared.u32 %r21, [s];\n", 128);
  expectClean(init + count + "ld.relaxed.cta.shared.u32 %r21, [s];\n", 128);
  expectClean(init + count + "ld.volatile.shared.u32 %r21, [s];\n", 128);
  expectRace(init + count + "@%p3 st.shared.u32 [s], 3;\n", "atom.shared",
             "@%p3 st.shared", 128);
  expectRace(init + "ld.volatile.shared.u32 %r21, [s];\n"
                    "@%p3 st.shared.u32 [s], 3;\n",
             "ld.volatile", "@%p3 st.shared", 128);
  expectClean(init + "ld.volatile.shared.u32 %r21, [s];\n"
                     "@%p3 st.volatile.shared.u32 [s], 3;\n",
              128);
  // The first access to a place may be strong, all others not.
  expectRace("st.shared.u32 [%r2], 0;\n" + count, "st.shared", "atom.shared");
}

// Guards that a report names both parties.
TEST_F(RaceTest, ReportsNameBothParties) {
  auto result = run(text("@%p3 st.shared.u32 [s+12], 1;\nsetp.eq.u32 %p5, %r1, "
                         "41;\n@%p5 ld.shared.u32 %r10, [s+12];\n"),
                    {1}, {64}, arguments(uint64_t(0)));
  ASSERT_FALSE(bool(result));
  const Report &report = result.report();
  EXPECT_EQ(report.warp, 1);
  EXPECT_EQ(report.lane, 9);
  EXPECT_EQ(report.address, 12u);
  EXPECT_EQ(report.other.warp, 0);
  EXPECT_EQ(report.other.lane, 0);
  EXPECT_EQ(report.other.block, 0);
  EXPECT_NE(
      report.str().find("races with an access of warp 0: it reads bytes that "
                        "'st.shared.u32' of line"),
      std::string::npos)
      << report.str();
}

} // namespace

//===- GlobalRaceTest.cpp - Races in global memory --------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Planted races and their clean twins: within a block, between blocks that do
// not communicate, and between blocks that meet at flags. Every one runs under
// several schedules and numbers of host threads, with one outcome in all.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

#include <algorithm>

using namespace ropewalk::emulator;

namespace {

struct GlobalRaceTest : Fixture {
  static std::string text(const std::string &body) {
    // %r1 thread, %r2 block, %r3 thread of the grid, %d1 p0, %d2 its own word,
    // %d3 its neighbour's in the warp, %d4 the one 32 threads on, %d5 p1.
    return entryText(
        "mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x; mov.u32 %r4, %ntid.x;\n"
        "mad.lo.u32 %r3, %r2, %r4, %r1; ld.param.u64 %d1, [p0];\n"
        "ld.param.u64 %d5, [p1]; mul.wide.u32 %d2, %r3, 4;\n"
        "add.s64 %d2, %d2, %d1; xor.b32 %r5, %r3, 1;\n"
        "mul.wide.u32 %d3, %r5, 4; add.s64 %d3, %d3, %d1;\n"
        "xor.b32 %r5, %r3, 32; mul.wide.u32 %d4, %r5, 4;\n"
        "add.s64 %d4, %d4, %d1; setp.eq.u32 %p1, %r1, 0;\n"
        "setp.eq.u32 %p2, %r2, 0; setp.eq.u32 %p3, %r3, 0;\n" +
            body,
        2);
  }
  static uint32_t lineOf(const std::string &body, const std::string &part) {
    std::string all = text(body);
    size_t place = all.find(part);
    EXPECT_NE(place, std::string::npos) << part;
    return uint32_t(
        1 + std::count(all.begin(), all.begin() + ptrdiff_t(place), '\n'));
  }

  /// What all runs come to: "ran" or the report. With `isSame` it has to be the
  /// same text for every schedule too.
  std::vector<LaunchResult> runs(const std::string &body, uint32_t blocks,
                                 uint32_t threads) {
    std::vector<LaunchResult> results;
    uint64_t data = device.allocate(1 << 16), flags = device.allocate(1 << 12);
    for (uint64_t seed : {0, 1, 2, 77, 12345}) {
      std::string first;
      for (unsigned hostThreads : {1u, 2u, 3u}) {
        LaunchOptions options;
        options.scheduleSeed = seed;
        options.threads = hostThreads;
        device.fill(data, 0, 1 << 16);
        device.fill(flags, 0, 1 << 12);
        results.push_back(run(text(body), {blocks}, {threads},
                              arguments(data, flags), 0, options));
        std::string outcome =
            results.back() ? "ran" : results.back().report().str();
        if (hostThreads == 1)
          first = outcome;
        EXPECT_EQ(first, outcome) << hostThreads << " threads, seed " << seed;
      }
    }
    return results;
  }
  void expectClean(const std::string &body, uint32_t blocks,
                   uint32_t threads = 64) {
    for (const LaunchResult &result : runs(body, blocks, threads))
      ASSERT_RAN(result) << "\n" << body;
  }
  /// Expects reports about the instructions `first` and `second`, in either
  /// order.
  void expectRace(const std::string &body, const std::string &first,
                  const std::string &second, uint32_t blocks,
                  uint32_t threads = 64) {
    uint32_t a = lineOf(body, first), b = lineOf(body, second);
    for (const LaunchResult &result : runs(body, blocks, threads)) {
      ASSERT_FALSE(bool(result)) << "not found\n" << body;
      const Report &report = result.report();
      EXPECT_EQ(report.kind, ReportKind::GlobalRace) << report.str();
      uint32_t here = report.location.line, there = report.other.location.line;
      EXPECT_TRUE((here == a && there == b) || (here == b && there == a))
          << report.str() << " expected lines " << a << " and " << b;
      EXPECT_GE(report.other.block, 0);
      EXPECT_GE(report.other.warp, 0);
    }
  }
};

const std::string storeOwn = "st.global.u32 [%d2], %r3;\n";
const std::string loadNeighbour = "ld.global.u32 %r11, [%d3];\n";
const std::string loadNext = "ld.global.u32 %r12, [%d4];\n";
const std::string storeNext = "st.global.u32 [%d4], %r1;\n";
const std::string warpSync = "bar.warp.sync 0xffffffff;\n";
const std::string barrier = "bar.sync 0;\n";

// Guards lanes and warps of one block.
TEST_F(GlobalRaceTest, WithinABlock) {
  expectClean(storeOwn + "ld.global.u32 %r10, [%d2];\n" + storeOwn, 3);
  expectRace(storeOwn + loadNeighbour, "st.global", "ld.global", 3);
  expectClean(storeOwn + warpSync + loadNeighbour, 3);
  expectRace(storeOwn + warpSync + loadNext, "st.global", "ld.global", 3);
  expectClean(storeOwn + barrier + loadNext, 3);
  expectRace(storeOwn + storeNext, "st.global.u32 [%d2]", "st.global.u32 [%d4]",
             3);
  expectClean(storeOwn + barrier + storeNext, 3);
  // A write after others have read.
  expectRace(loadNext + "\n" + storeOwn, "ld.global", "st.global", 3);
  expectClean(loadNext + barrier + storeOwn, 3);
  // Also if all warps have read it, the writer among them.
  std::string all = "ld.global.u32 %r10, [%d1];\n";
  expectRace(all + "@%p3 st.global.u32 [%d1], 5;\n", "ld.global", "@%p3 st", 1,
             256);
  expectClean(all + barrier + "@%p3 st.global.u32 [%d1], 5;\n", 1, 256);
}

// Guards stores of one value to one place.
TEST_F(GlobalRaceTest, EqualStoresAreNoRace) {
  expectClean("st.global.u32 [%d1], 7;\nld.global.u32 %r10, [%d1];\n", 1, 128);
  expectClean("st.global.u32 [%d1], 7;\n", 4, 64);
  expectClean("st.global.u32 [%d1], 7;\nld.global.u32 %r10, [%d1];\n", 4, 32);
  expectRace("st.global.u32 [%d1], %r1;\n", "st.global", "st.global", 1, 32);
  expectRace("st.global.u32 [%d1], %r2;\n", "st.global", "st.global", 4, 32);
}

// Guards blocks that do not communicate: every conflict is a race.
TEST_F(GlobalRaceTest, BetweenBlocks) {
  // The word of the thread in the next block.
  std::string other = "xor.b32 %r6, %r3, 64; mul.wide.u32 %d6, %r6, 4;\n"
                      "add.s64 %d6, %d6, %d1;\n";
  expectClean(storeOwn, 8);
  expectRace(other + storeOwn + "ld.global.u32 %r10, [%d6];\n", "st.global",
             "ld.global", 8);
  expectRace(other + "ld.global.u32 %r10, [%d6];\n" + storeOwn, "ld.global",
             "st.global", 8);
  expectRace(other + storeOwn + "st.global.u32 [%d6], 3;\n",
             "st.global.u32 [%d2]", "st.global.u32 [%d6]", 8);
  // A barrier orders no blocks.
  expectRace(other + storeOwn + barrier + "ld.global.u32 %r10, [%d6];\n",
             "st.global", "ld.global", 8);
  // In place: each block reads and writes its own.
  expectClean("ld.global.u32 %r10, [%d2];\n" + storeOwn, 8);
  // One block writes what all read.
  expectRace("@%p3 st.global.u32 [%d1], 9;\nld.global.u32 %r10, [%d1];\n",
             "st.global", "ld.global", 8);
}

// Guards the bytes of a word that several blocks share.
TEST_F(GlobalRaceTest, Bytes) {
  std::string bytes = "cvt.u64.u32 %d6, %r3; add.s64 %d6, %d6, %d1;\n"
                      "cvt.u16.u32 %h1, %r3; st.global.u8 [%d6], %h1;\n";
  // Blocks of 33 threads share words at their ends.
  expectClean(bytes, 5, 33);
  expectClean(bytes + "ld.global.u8 %h2, [%d6];\n", 5, 33);
  auto results = runs(bytes + "ld.global.u8 %h2, [%d6+1];\n", 5, 33);
  for (const LaunchResult &result : results) {
    ASSERT_FALSE(bool(result));
    EXPECT_EQ(result.report().kind, ReportKind::GlobalRace);
  }
  std::string halves = "mul.wide.u32 %d6, %r3, 2; add.s64 %d6, %d6, %d1;\n"
                       "cvt.u16.u32 %h1, %r3; st.global.u16 [%d6], %h1;\n";
  expectClean(halves, 5, 33);
  expectRace(halves + "@%p3 ld.global.u32 %r10, [%d1];\n", "st.global.u16",
             "ld.global.u32", 1, 33);
}

// Guards that the report of parallel runs is that of the lowest block.
TEST_F(GlobalRaceTest, TheLowestBlockIsReported) {
  // Blocks 5 and 6 and blocks 9 and 2 meet; 6 conflicts with 5, 9 with 2.
  std::string body = "setp.eq.u32 %p4, %r2, 5; setp.eq.u32 %p5, %r2, 6;\n"
                     "setp.eq.u32 %p6, %r2, 9; setp.eq.u32 %p7, %r2, 2;\n"
                     "@%p4 st.global.u32 [%d1+2048], %r1;\n"
                     "@%p5 ld.global.u32 %r10, [%d1+2048];\n"
                     "@%p6 st.global.u32 [%d1+1024], 1;\n"
                     "@%p7 st.global.u32 [%d1+1024], 2;\n";
  for (const LaunchResult &result : runs(body, 12, 1)) {
    ASSERT_FALSE(bool(result));
    EXPECT_EQ(result.report().block, 6) << result.report().str();
    EXPECT_EQ(result.report().other.block, 5) << result.report().str();
    EXPECT_EQ(result.report().lane, 0);
  }
}

// Guards that reading what a block has not written yet is told the same way
// whether that block came before or not.
TEST_F(GlobalRaceTest, UninitializedOrRace) {
  auto outcome = [&](const std::string &body, unsigned threads) {
    LaunchOptions options;
    options.threads = threads;
    uint64_t data = device.allocate(1 << 12);
    auto result =
        run(text(body), {16}, {32}, arguments(data, data), 0, options);
    return result ? std::string("ran")
                  : std::string(name(result.report().kind)) +
                        std::to_string(result.report().block);
  };
  std::string later = "setp.eq.u32 %p4, %r2, 15; setp.eq.u32 %p5, %r2, 3;\n"
                      "@%p4 st.global.u32 [%d1], 5;\n"
                      "@%p5 ld.global.u32 %r10, [%d1];\n";
  std::string earlier = "setp.eq.u32 %p4, %r2, 3; setp.eq.u32 %p5, %r2, 15;\n"
                        "@%p4 st.global.u32 [%d1], 5;\n"
                        "@%p5 ld.global.u32 %r10, [%d1];\n";
  for (int i = 0; i < 20; ++i)
    for (unsigned threads : {1u, 2u, 4u}) {
      EXPECT_EQ(outcome(later, threads), "uninitialized-memory3");
      EXPECT_EQ(outcome(earlier, threads), "global-race15");
    }
  // The two at about the same time.
  for (int rounds = 19000; rounds < 21000; rounds += 20)
    EXPECT_EQ(outcome("setp.eq.u32 %p4, %r2, 1; setp.eq.u32 %p5, %r2, 0;\n"
                      "mov.u32 %r11, 20000;\n"
                      "@%p5 mov.u32 %r11, " +
                          std::to_string(rounds) +
                          ";\n"
                          "SPIN:\nsub.u32 %r11, %r11, 1;\n"
                          "setp.ne.u32 %p6, %r11, 0;\n@%p6 bra SPIN;\n"
                          "@%p4 st.global.u32 [%d1], 5;\n"
                          "@%p5 ld.global.u32 %r10, [%d1];\n",
                      2),
              "uninitialized-memory0")
        << rounds << " rounds";
}

/// Block 0 writes a row of words and gives a flag; the others wait for it.
std::string message(const std::string &give, const std::string &wait,
                    const std::string &after = "") {
  return "@!%p2 bra WAIT;\nst.global.u32 [%d2], 5;\nbar.sync 0;\n@%p1 " + give +
         " [%d5], 1;\nret;\nWAIT:\n@!%p1 bra GO;\nPOLL:\n" + wait +
         " %r10, [%d5];\nsetp.ne.u32 %p4, %r10, 1;\n@%p4 bra POLL;\n" + after +
         "\nGO:\nbar.sync 0;\nmul.wide.u32 %d6, %r1, 4; add.s64 %d6, %d6, "
         "%d1;\n"
         "ld.global.u32 %r11, [%d6];\n";
}

// Guards messages from block to block.
TEST_F(GlobalRaceTest, Messages) {
  std::string release = "st.release.gpu.global.u32",
              acquire = "ld.acquire.gpu.global.u32",
              plain = "st.volatile.global.u32", poll = "ld.volatile.global.u32",
              fence = "fence.acq_rel.gpu;";
  expectClean(message(release, acquire), 4);
  expectClean(message("red.release.gpu.global.add.u32", acquire), 4);
  expectClean(message(fence + "\n@%p1 " + plain, acquire), 4);
  expectClean(message("membar.gl;\n@%p1 " + plain, poll, "membar.gl;"), 4);
  expectClean(message("st.release.sys.global.u32", poll, "fence.sc.gpu;"), 4);
  // Generic addresses.
  expectClean(message("st.release.gpu.u32", "ld.acquire.gpu.u32"), 4);
  const std::string wrong[][3] = {
      {plain, acquire, ""},
      {release, poll, ""},
      {plain, poll, ""},
      {"fence.acq_rel.cta;\n@%p1 " + plain, acquire, ""},
      {fence + "\n@%p1 " + plain, poll, "fence.acq_rel.cta;"},
      {"membar.cta;\n@%p1 " + plain, poll, "membar.gl;"}};
  for (const auto &[give, wait, after] : wrong)
    expectRace(message(give, wait, after), "st.global.u32 [%d2]",
               "ld.global.u32 %r11", 4);
  // Scopes that do not include the other block: the flag itself races.
  expectRace(message("st.release.cta.global.u32", acquire), "@%p1 st.release",
             "ld.acquire", 4);
  expectRace(message(release, "ld.acquire.cta.global.u32"), "@%p1 st.release",
             "ld.acquire", 4);
}

// Guards order that goes through several blocks.
TEST_F(GlobalRaceTest, Chains) {
  // Each block waits for the one before and hands on; the last reads all.
  auto chain = [](const std::string &give, const std::string &wait) {
    return "st.global.u32 [%d2], %r3;\nbar.sync 0;\n@!%p1 bra END;\n"
           "mul.wide.u32 %d6, %r2, 4; add.s64 %d6, %d6, %d5;\n"
           "setp.eq.u32 %p4, %r2, 0;\n@%p4 bra GIVE;\nPOLL:\n" +
           wait +
           " %r10, [%d6+-4];\nsetp.eq.u32 %p5, %r10, 0;\n@%p5 bra POLL;\n"
           "GIVE:\n" +
           give +
           " [%d6], 1;\nsetp.ne.u32 %p6, %r2, 5;\n@%p6 bra END;\n"
           "ld.global.u32 %r11, [%d1+8];\nEND:\n";
  };
  std::string release = "st.release.gpu.global.u32",
              acquire = "ld.acquire.gpu.global.u32";
  expectClean(chain(release, acquire), 6, 32);
  expectRace(chain("st.relaxed.gpu.global.u32", acquire), "st.global.u32 [%d2]",
             "ld.global.u32 %r11", 6, 32);
  expectRace(chain(release, "ld.relaxed.gpu.global.u32"), "st.global.u32 [%d2]",
             "ld.global.u32 %r11", 6, 32);
  // Two threads of one block that meet in another block.
  std::string detour =
      "setp.eq.u32 %p4, %r2, 1; setp.eq.u32 %p5, %r1, 32;\n"
      "and.pred %p6, %p2, %p1; and.pred %p7, %p2, %p5; and.pred %p8, %p4, "
      "%p1;\n@%p6 bra FIRST;\n@%p8 bra HELP;\n@!%p7 bra END;\nB:\n"
      "ld.acquire.gpu.global.u32 %r10, [%d5+4];\nsetp.eq.u32 %p9, %r10, 0;\n"
      "@%p9 bra B;\nld.global.u32 %r11, [%d1];\nbra END;\n"
      "HELP:\nld.acquire.gpu.global.u32 %r10, [%d5];\n"
      "setp.eq.u32 %p9, %r10, 0;\n@%p9 bra HELP;\n"
      "st.release.gpu.global.u32 [%d5+4], 1;\nbra END;\n"
      "FIRST:\nst.global.u32 [%d1], 7;\nst.release.gpu.global.u32 [%d5], 1;\n"
      "END:\n";
  expectClean(detour, 2);
  std::string cut = detour;
  cut.replace(cut.find("st.release.gpu.global.u32 [%d5+4]"), 26,
              "st.relaxed.gpu.global.u32 ");
  expectRace(cut, "st.global", "ld.global.u32 %r11", 2);
}

// Guards the last block that sums up what all have written.
TEST_F(GlobalRaceTest, LastBlock) {
  auto reduction = [](const std::string &before, const std::string &count,
                      const std::string &after) {
    return std::string(".shared .u32 last;\n") + "st.global.u32 [%d2], %r3;\n" +
           before +
           "bar.sync 0;\n@!%p1 bra "
           "SKIP;\n" +
           count +
           " %r10, [%d5], 5;\nsetp.eq.u32 %p4, %r10, 5;\n"
           "selp.u32 %r12, 1, 0, %p4;\n" +
           after +
           "\nst.shared.u32 [last], %r12;\nSKIP:\nbar.sync 0;\n"
           "ld.shared.u32 %r12, [last];\nsetp.eq.u32 %p5, %r12, 0;\n"
           "@%p5 bra END;\nmul.wide.u32 %d6, %r1, 4; add.s64 %d6, %d6, %d1;\n"
           "ld.global.u32 %r11, [%d6];\nld.global.u32 %r11, [%d6+256];\n"
           "ld.global.u32 %r11, [%d6+1024];\nEND:\n";
  };
  std::string inc = "atom.global.inc.u32";
  expectClean(reduction("membar.gl;\n", inc, "membar.gl;"), 6);
  expectClean(reduction("", "atom.acq_rel.gpu.global.inc.u32", ""), 6);
  expectClean(
      reduction("", "atom.release.gpu.global.inc.u32", "fence.acq_rel.gpu;"),
      6);
  auto expectSome = [&](const std::string &body) {
    for (const LaunchResult &result : runs(body, 6, 64)) {
      ASSERT_FALSE(bool(result)) << body;
      EXPECT_EQ(result.report().kind, ReportKind::GlobalRace)
          << result.report().str();
    }
  };
  expectSome(reduction("membar.gl;\n", inc, ""));
  expectSome(reduction("", inc, "membar.gl;"));
  expectSome(reduction("membar.cta;\n", inc, "membar.gl;"));
  expectSome(reduction("", "atom.acq_rel.cta.global.inc.u32", ""));
}

// Guards a barrier of the whole grid, twice, with reads of other blocks' words
// in between.
TEST_F(GlobalRaceTest, GridBarrier) {
  auto wait = [](unsigned round, const std::string &arrive,
                 const std::string &poll) {
    std::string n = std::to_string(round);
    return "bar.sync 0;\n@!%p1 bra R" + n + ";\n" + arrive + " [%d5], 1;\nP" +
           n + ":\n" + poll + " %r10, [%d5];\nsetp.lt.u32 %p4, %r10, " +
           std::to_string(round * 6) + ";\n@%p4 bra P" + n + ";\nR" + n +
           ":\nbar.sync 0;\n";
  };
  // The word of the same thread in the next of six blocks.
  std::string next = "add.u32 %r6, %r3, %r4; rem.u32 %r6, %r6, 384;\n"
                     "mul.wide.u32 %d6, %r6, 4; add.s64 %d6, %d6, %d1;\n";
  auto body = [&](const std::string &arrive, const std::string &poll) {
    return next + storeOwn + wait(1, arrive, poll) +
           "ld.global.u32 %r11, [%d6];\n" + wait(2, arrive, poll) +
           "st.global.u32 [%d2], %r11;\n";
  };
  std::string arrive = "red.release.gpu.global.add.u32",
              poll = "ld.acquire.gpu.global.u32";
  expectClean(body(arrive, poll), 6);
  expectRace(next + storeOwn + wait(1, arrive, poll) +
                 "ld.global.u32 %r11, [%d6];\nst.global.u32 [%d2], %r11;\n",
             "ld.global.u32 %r11", "st.global.u32 [%d2], %r11", 6);
  expectRace(body("red.relaxed.gpu.global.add.u32", poll),
             "st.global.u32 [%d2], %r3", "ld.global.u32 %r11", 6);
}

// Guards atomics and volatile accesses against weak ones of other blocks.
TEST_F(GlobalRaceTest, StrongAccesses) {
  std::string count = "atom.global.add.u32 %r10, [%d1], 1;\n";
  expectClean(count, 4);
  expectClean(count + "ld.relaxed.gpu.global.u32 %r11, [%d1];\n", 4);
  expectClean(count + "@%p3 st.volatile.global.u32 [%d1], 0;\n", 4);
  expectRace(count + "ld.global.u32 %r11, [%d1];\n", "atom.global", "ld.global",
             4);
  expectRace("ld.volatile.global.u32 %r11, [%d1];\n"
             "@%p3 st.global.u32 [%d1], 3;\n",
             "ld.volatile", "@%p3 st", 4);
  // Within one block the narrowest scope will do.
  std::string narrow = "red.relaxed.cta.global.add.u32 [%d1], 1;\n";
  expectClean(narrow, 1, 128);
  expectRace(narrow, "red.relaxed", "red.relaxed", 2);
}

// Guards that each launch knows everything before it.
TEST_F(GlobalRaceTest, LaunchesAreOrdered) {
  uint64_t data = device.allocate(1 << 12);
  for (int i = 0; i < 3; ++i) {
    ASSERT_RAN(run(text(storeOwn), {4}, {64}, arguments(data, data)));
    ASSERT_RAN(run(text("ld.global.u32 %r10, [%d1+8];\n"), {4}, {64},
                   arguments(data, data)));
  }
}

// Guards loads through the cache that is not coherent: no order makes visible
// to them what the kernel itself has written.
TEST_F(GlobalRaceTest, ConstantDataThatIsWritten) {
  auto expectWritten = [&](const std::string &body, uint32_t blocks,
                           const std::string &writer) {
    for (const LaunchResult &result : runs(body, blocks, 64)) {
      ASSERT_FALSE(result) << body;
      EXPECT_EQ(result.report().kind, ReportKind::GlobalRace);
      EXPECT_NE(result.report().detail.find("reads as constant what '" +
                                            writer + "' of line "),
                std::string::npos)
          << result.report().str();
      const Report::Party &other = result.report().other;
      EXPECT_EQ(other.location.line, lineOf(body, writer));
      EXPECT_TRUE(other.block >= 0 && other.warp >= 0);
    }
  };
  const std::string store = "st.global.u32 [%d2], %r3;\n";
  for (const char *load : {"ld.global.nc.u32", "ldu.global.u32"}) {
    std::string own = std::string(load) + " %r6, [%d2];\n";
    // Other words of the page are written, and these before the kernel.
    expectClean("add.s64 %d2, %d2, 32768;\n" + own +
                    "st.global.u32 [%d2+4096], %r6;\n",
                2);
    expectClean(own + "bar.sync 0;\n" + store, 2);
    expectWritten(store + own, 2, "st.global.u32");
    expectWritten(store + "bar.sync 0;\n" + load + " %r6, [%d4];\n", 1,
                  "st.global.u32");
    expectWritten("st.global.u8 [%d2+3], %r3;\n" + own, 1, "st.global.u8");
    expectWritten("atom.global.add.u32 %r6, [%d2], 1;\n" + own, 1,
                  "atom.global.add.u32");
  }
  expectClean(store + "bar.sync 0;\nld.global.u32 %r6, [%d4];\n", 1);
}

// Guards strided, guarded and vector accesses, which take other ways.
TEST_F(GlobalRaceTest, Shapes) {
  std::string wide = "mul.wide.u32 %d6, %r3, 16; add.s64 %d6, %d6, %d1;\n"
                     "st.global.v4.u32 [%d6], {%r1, %r1, %r1, %r1};\n";
  expectClean(wide, 4);
  expectClean(wide + "ld.global.v2.u32 {%r10, %r11}, [%d6+8];\n", 4);
  expectRace(wide + "ld.global.u32 %r10, [%d2];\n", "st.global.v4",
             "ld.global.u32", 1, 32);
  std::string strided = "mul.wide.u32 %d6, %r3, 20; add.s64 %d6, %d6, %d1;\n"
                        "st.global.u32 [%d6], %r3;\n";
  expectClean(strided + "ld.global.u32 %r10, [%d6];\n", 4);
  expectRace(strided + "ld.global.u32 %r10, [%d2];\n", "st.global.u32",
             "ld.global.u32", 1, 32);
  std::string odd = "and.b32 %r6, %r1, 1; setp.eq.u32 %p4, %r6, 1;\n";
  expectClean(odd + "@%p4 st.global.u32 [%d2], 1;\n"
                    "@!%p4 st.global.u32 [%d2], 2;\n",
              4);
  expectRace(odd + "@%p4 st.global.u32 [%d2], 1;\n@!%p4 ld.global.u32 %r10, "
                   "[%d3];\n",
             "@%p4 st", "@!%p4 ld", 4);
  // Across the end of a page of the shadow.
  expectClean("add.s64 %d2, %d2, 8160;\n" + storeOwn +
                  "ld.global.u32 %r10, [%d2];\n",
              4);
}

} // namespace

//===- MbarrierTest.cpp - Tests of barrier objects --------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Counts and phases of mbarrier as PTX defines them, and a report for every way
// to misuse them.
//
//===----------------------------------------------------------------------===//

#include "AsyncHarness.h"

using namespace ropewalk::emulator;

namespace {

struct MbarrierTest : AsyncTest {
  /// A body whose %d1 is the output, %r1 the address of a barrier and %r2 that
  /// of a second one.
  static std::string text(const std::string &body) {
    return hopperText("ld.param.u64 %d1, [p0];\n"
                      "mov.u32 %r1, bar; add.u32 %r2, %r1, 8;\n"
                      "mov.u32 %r10, %tid.x;\n" +
                          body,
                      1, ".shared .align 16 .b64 bar[4];");
  }
  /// Runs one thread, whose code has left its results in %r20 and up.
  std::vector<uint32_t> results(std::string body, unsigned count) {
    for (unsigned i = 0; i < count; ++i)
      body += "st.global.u32 [%d1+" + std::to_string(i * 4) + "], %r" +
              std::to_string(20 + i) + ";\n";
    uint64_t output = upload(std::vector<uint32_t>(count, ~0u));
    auto result = runSeed(text(body), {1}, {1}, arguments(output));
    EXPECT_TRUE(bool(result)) << result.report().str();
    return download<uint32_t>(output, count);
  }
  void expectMisuse(const std::string &body, const std::string &part) {
    uint64_t output = upload(std::vector<uint32_t>(1, 0));
    expectReport(text(body), {1}, {1}, arguments(output),
                 ReportKind::MbarrierMisuse, part);
  }
};

/// Into register `number`: whether the wait succeeds.
std::string wait(unsigned number, const std::string &what) {
  std::string n = std::to_string(number);
  return "mbarrier." + what + ";\nselp.u32 %r" + n + ", 1, 0, %p1;\n";
}

using Values = std::vector<uint32_t>;

TEST_F(MbarrierTest, CountsArrivals) {
  // The state that an arrival returns tells the pending count before it and
  // names the phase that it belongs to.
  EXPECT_EQ(
      results("mbarrier.init.shared::cta.b64 [%r1], 3;\n"
              "mbarrier.arrive.shared.b64 %d2, [%r1];\n"
              "mbarrier.pending_count.b64 %r20, %d2;\n"
              "mbarrier.arrive.shared::cta.b64 %d3, [%r1], 1;\n"
              "mbarrier.pending_count.b64 %r21, %d3;\n" +
                  wait(22, "test_wait.shared.b64 %p1, [%r1], %d2") +
                  "mbarrier.arrive.release.cta.shared::cta.b64 _, [bar];\n" +
                  wait(23, "test_wait.shared.b64 %p1, [%r1], %d2") +
                  wait(24, "try_wait.shared.b64 %p1, [%r1], %d3, 100") +
                  wait(25, "test_wait.parity.shared.b64 %p1, [%r1], 0") +
                  wait(26, "test_wait.parity.shared.b64 %p1, [%r1], 1") +
                  "mbarrier.arrive.noComplete.shared.b64 %d4, [%r1], 2;\n"
                  "mbarrier.pending_count.b64 %r27, %d4;\n" +
                  wait(28, "try_wait.shared.b64 %p1, [%r1], %d4"),
              9),
      (Values{3, 2, 0, 1, 1, 1, 0, 3, 0}));
}

TEST_F(MbarrierTest, AFreshBarrierHasThePhaseBeforeBehindIt) {
  EXPECT_EQ(results("mbarrier.init.shared.b64 [%r1], 1;\n" +
                        wait(20, "try_wait.parity.shared.b64 %p1, [%r1], 1") +
                        wait(21, "try_wait.parity.shared.b64 %p1, [%r1], 0"),
                    2),
            (Values{1, 0}));
}

TEST_F(MbarrierTest, CountsBytes) {
  // A phase is complete when arrivals and bytes are, in whatever order.
  std::string over = "test_wait.parity.shared.b64 %p1, [%r1], 0";
  EXPECT_EQ(
      results("mbarrier.init.shared.b64 [%r1], 1;\n"
              "mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%r1], 48;\n"
              "mbarrier.arrive.shared.b64 _, [%r1];\n" +
                  wait(20, over) +
                  "mbarrier.complete_tx.shared::cta.b64 [%r1], 16;\n" +
                  wait(21, over) +
                  "mbarrier.complete_tx.relaxed.cluster.shared::cluster.b64 "
                  "[%r1], 32;\n" +
                  wait(22, over),
              3),
      (Values{0, 0, 1}));
  EXPECT_EQ(results("mbarrier.init.shared.b64 [%r1], 1;\n"
                    "mbarrier.complete_tx.shared::cta.b64 [%r1], 16;\n"
                    "mbarrier.arrive.expect_tx.shared.b64 %d2, [%r1], 48;\n"
                    "mbarrier.pending_count.b64 %r20, %d2;\n" +
                        wait(21, over) +
                        "mbarrier.complete_tx.shared::cta.b64 [%r1], 32;\n" +
                        wait(22, over),
                    3),
            (Values{1, 0, 1}));
}

TEST_F(MbarrierTest, DropsArrivals) {
  // Two of three leave: the phase needs the third, the next one only it.
  std::string parity = "test_wait.parity.shared.b64 %p1, [%r1], ";
  EXPECT_EQ(results("mbarrier.init.shared.b64 [%r1], 4;\n"
                    "mbarrier.arrive_drop.shared.b64 %d2, [%r1], 2;\n"
                    "mbarrier.pending_count.b64 %r20, %d2;\n"
                    "mbarrier.arrive_drop.expect_tx.shared.b64 _, [%r1], 8;\n"
                    "mbarrier.complete_tx.shared::cta.b64 [%r1], 8;\n" +
                        wait(21, parity + "0") +
                        "mbarrier.arrive.shared.b64 _, [%r1];\n" +
                        wait(22, parity + "0") +
                        "mbarrier.arrive.shared.b64 %d3, [%r1];\n"
                        "mbarrier.pending_count.b64 %r23, %d3;\n" +
                        wait(24, parity + "1"),
                    5),
            (Values{4, 0, 1, 1, 1}));
}

TEST_F(MbarrierTest, TakesGenericAddresses) {
  EXPECT_EQ(results("cvt.u64.u32 %d5, %r1; cvta.shared.u64 %d6, %d5;\n"
                    "mbarrier.init.b64 [%d6+16], 2;\n"
                    "mbarrier.arrive.relaxed.cta.b64 %d2, [%d6+16];\n"
                    "mbarrier.expect_tx.b64 [%d6+16], 4;\n"
                    "mbarrier.complete_tx.b64 [%d6+16], 4;\n"
                    "mbarrier.arrive.shared.b64 _, [%r1+16];\n" +
                        wait(20, "try_wait.b64 %p1, [%d6+16], %d2") +
                        wait(21, "test_wait.parity.relaxed.cluster.b64 %p1, "
                                 "[%d6+16], 0") +
                        "mbarrier.inval.b64 [%d6+16];\n",
                    2),
            (Values{1, 1}));
}

TEST_F(MbarrierTest, InvalidatedMemoryIsMemoryAgain) {
  EXPECT_EQ(results("mbarrier.init.shared.b64 [%r1], 2;\n"
                    "mbarrier.arrive.shared.b64 _, [%r1];\n"
                    "mbarrier.inval.shared.b64 [%r1];\n"
                    "st.shared.u32 [%r1], 7; ld.shared.u32 %r20, [%r1];\n"
                    "mbarrier.init.shared.b64 [%r1], 1;\n" +
                        wait(21, "try_wait.parity.shared.b64 %p1, [%r1], 0"),
                    2),
            (Values{7, 0}));
}

TEST_F(MbarrierTest, ManyPhasesHandDataOn) {
  // 96 threads, each reading what its neighbour wrote: the barrier orders the
  // writes of a round before its reads, and those before the next writes.
  std::string body = R"(
    mov.u32 %r30, data; shl.b32 %r31, %r10, 2; add.u32 %r32, %r30, %r31;
    add.u32 %r33, %r10, 1; setp.eq.u32 %p2, %r33, 96; selp.u32 %r33, 0, %r33, %p2;
    shl.b32 %r33, %r33, 2; add.u32 %r33, %r30, %r33;
    setp.eq.u32 %p3, %r10, 0;
    @%p3 mbarrier.init.shared.b64 [%r1], 96;
    bar.sync 0;
    mov.u32 %r40, 0; mov.u32 %r41, %r10; mov.u32 %r42, 0;
  ROUND:
    st.shared.u32 [%r32], %r41;
    mbarrier.arrive.shared.b64 %d2, [%r1];
  FULL:
    mbarrier.try_wait.shared.b64 %p1, [%r1], %d2;
    @!%p1 bra FULL;
    ld.shared.u32 %r41, [%r33];
    mbarrier.arrive.shared.b64 _, [%r1];
    xor.b32 %r43, %r42, 1;
  EMPTY:
    mbarrier.try_wait.parity.shared.b64 %p1, [%r1], %r43;
    @!%p1 bra EMPTY;
    add.u32 %r40, %r40, 1; setp.lt.u32 %p4, %r40, 10;
    @%p4 bra ROUND;
    mul.wide.u32 %d3, %r10, 4; add.s64 %d3, %d1, %d3;
    st.global.u32 [%d3], %r41;
  )";
  std::string whole = replaced(text(body), ".visible",
                               ".shared .align 4 .b32 data[96];\n.visible");
  uint64_t output = upload(std::vector<uint32_t>(96, 0));
  expectClean(whole, {1}, {96}, arguments(output), [&] {
    auto values = download<uint32_t>(output, 96);
    for (uint32_t i = 0; i < 96; ++i)
      ASSERT_EQ(values[i], (i + 10) % 96);
  });
  // Without the second arrival a round runs into the next one.
  expectReport(replaced(replaced(whole, "mbarrier.arrive.shared.b64 _", "// "),
                        "@!%p1 bra EMPTY", "// "),
               {1}, {96}, arguments(output), ReportKind::SharedRace, "races");
}

TEST_F(MbarrierTest, RelaxedArrivalsOrderNothing) {
  std::string body = R"(
    setp.eq.u32 %p3, %r10, 0;
    @%p3 mbarrier.init.shared.b64 [%r1], 1;
    bar.sync 0;
    setp.lt.u32 %p2, %r10, 32;
    @%p2 bra WAIT;
    setp.ne.u32 %p4, %r10, 32;
    @%p4 bra DONE;
    st.shared.u32 [%r1+16], 5;
    mbarrier.arrive.release.cta.shared.b64 _, [%r1];
    bra DONE;
  WAIT:
    mbarrier.try_wait.parity.acquire.cta.shared.b64 %p1, [%r1], 0;
    @!%p1 bra WAIT;
    ld.shared.u32 %r20, [%r1+16];
    st.global.u32 [%d1], %r20;
  DONE:
  )";
  uint64_t output = upload(std::vector<uint32_t>(1, 0));
  expectClean(text(body), {1}, {64}, arguments(output),
              [&] { EXPECT_EQ(download<uint32_t>(output, 1)[0], 5u); });
  for (const char *part : {"release.cta", "acquire.cta"})
    expectReportAlways(replaced(text(body), part, "relaxed.cta"), {1}, {64},
                       arguments(output), ReportKind::SharedRace, "races");
}

TEST_F(MbarrierTest, FencesMakeRelaxedOperationsOrder) {
  std::string body = R"(
    setp.eq.u32 %p3, %r10, 0;
    @%p3 mbarrier.init.shared.b64 [%r1], 1;
    bar.sync 0;
    setp.lt.u32 %p2, %r10, 32;
    @%p2 bra WAIT;
    setp.ne.u32 %p4, %r10, 32;
    @%p4 bra DONE;
    st.shared.u32 [%r1+16], 5;
    fence.acq_rel.cta; // release
    st.shared.u32 [%r1+24], 6;
    mbarrier.arrive.relaxed.cta.shared.b64 _, [%r1];
    bra DONE;
  WAIT:
    mbarrier.try_wait.parity.relaxed.cta.shared.b64 %p1, [%r1], 0;
    @!%p1 bra WAIT;
    fence.acq_rel.cta; // acquire
    ld.shared.u32 %r20, [%r1+16];
    st.global.u32 [%d1], %r20;
  DONE:
  )";
  uint64_t output = upload(std::vector<uint32_t>(1, 0));
  expectClean(text(body), {1}, {64}, arguments(output),
              [&] { EXPECT_EQ(download<uint32_t>(output, 1)[0], 5u); });
  for (const char *part :
       {"fence.acq_rel.cta; // release", "fence.acq_rel.cta; // acquire"})
    expectReportAlways(replaced(text(body), part, ""), {1}, {64},
                       arguments(output), ReportKind::SharedRace, "races");
  // What comes behind the fence is not released.
  expectReportAlways(replaced(text(body), "ld.shared.u32 %r20, [%r1+16]",
                              "ld.shared.u32 %r20, [%r1+24]"),
                     {1}, {64}, arguments(output), ReportKind::SharedRace,
                     "races");
}

TEST_F(MbarrierTest, InvalidationsComeAfterAllOperations) {
  std::string body = R"(
    setp.eq.u32 %p3, %r10, 0;
    @%p3 mbarrier.init.shared.b64 [%r1], 64;
    bar.sync 0; // initialized
    mbarrier.arrive.shared.b64 _, [%r1];
    bar.sync 0; // used
    @%p3 mbarrier.inval.shared.b64 [%r1];
  )";
  uint64_t output = upload(std::vector<uint32_t>(1, 0));
  expectClean(text(body), {1}, {64}, arguments(output));
  expectReportAlways(replaced(text(body), "bar.sync 0; // used", ""), {1}, {64},
                     arguments(output),
                     std::vector<ReportKind>{ReportKind::SharedRace,
                                             ReportKind::MbarrierMisuse},
                     "");
}

TEST_F(MbarrierTest, AnArrivalReleasesItsLaneOnly) {
  // All lanes of a warp write and one arrives for them.
  std::string body = R"(
    mov.u32 %r30, data; shl.b32 %r31, %r10, 2; add.u32 %r32, %r30, %r31;
    setp.eq.u32 %p3, %r10, 0;
    @%p3 mbarrier.init.shared.b64 [%r1], 1;
    bar.sync 0;
    setp.ge.u32 %p2, %r10, 32;
    @%p2 bra WAIT;
    st.shared.u32 [%r32], %r10;
    bar.warp.sync 0xffffffff;
    @%p3 mbarrier.arrive.shared.b64 _, [%r1];
    bra DONE;
  WAIT:
    mbarrier.try_wait.parity.shared.b64 %p1, [%r1], 0;
    @!%p1 bra WAIT;
    ld.shared.u32 %r20, [%r32+-128];
    mul.wide.u32 %d3, %r10, 4; add.s64 %d3, %d1, %d3;
    st.global.u32 [%d3], %r20;
  DONE:
  )";
  std::string whole = replaced(text(body), ".visible",
                               ".shared .align 4 .b32 data[32];\n.visible");
  uint64_t output = upload(std::vector<uint32_t>(64, 0));
  expectClean(whole, {1}, {64}, arguments(output),
              [&] { EXPECT_EQ(download<uint32_t>(output, 64)[63], 31u); });
  expectReportAlways(replaced(whole, "bar.warp.sync 0xffffffff;", ""), {1},
                     {64}, arguments(output), ReportKind::SharedRace, "races");
}

TEST_F(MbarrierTest, NeedsItsInitializationBefore) {
  std::string body = R"(
    setp.eq.u32 %p3, %r10, 0;
    @%p3 mbarrier.init.shared.b64 [%r1], 64;
    bar.sync 0;
    mbarrier.arrive.shared.b64 _, [%r1];
  )";
  uint64_t output = upload(std::vector<uint32_t>(1, 0));
  expectClean(text(body), {1}, {64}, arguments(output));
  // Lucky or not, it is wrong without the barrier in between.
  for (uint64_t seed : seeds) {
    auto result = runSeed(replaced(text(body), "bar.sync 0;", ""), {1}, {64},
                          arguments(output), seed);
    ASSERT_FALSE(bool(result)) << "seed " << seed;
    EXPECT_TRUE(result.report().kind == ReportKind::SharedRace ||
                result.report().kind == ReportKind::MbarrierMisuse)
        << result.report().str();
  }
}

TEST_F(MbarrierTest, ReportsMisuse) {
  std::string init = "mbarrier.init.shared.b64 [%r1], 2;\n";
  std::string arrive = "mbarrier.arrive.shared.b64 _, [%r1]";
  expectMisuse(arrive + ";", "finds no mbarrier there");
  expectMisuse("st.shared.u64 [%r1], 0;\n" + arrive + ";",
               "finds no mbarrier there");
  expectMisuse("mbarrier.init.shared.b64 [%r1+4], 1;", "multiple of 8");
  expectMisuse(init + "mbarrier.arrive.shared.b64 _, [%r1+4];",
               "multiple of 8, the address of an mbarrier; there is one at "
               "offset 0");
  for (const char *count : {"0", "1048576"})
    expectMisuse(std::string("mbarrier.init.shared.b64 [%r1], ") + count + ";",
                 std::string("expects ") + count +
                     " arrivals, which is not in 1 to 1048575");
  expectMisuse(init + init, "again without mbarrier.inval; it is in phase 0");
  expectMisuse(
      init + arrive + ", 3;",
      "arrives 3 times at the barrier that line 12 initialized, which "
      "is in phase 0 (parity 0), where 0 of 2 arrivals have come and 0 "
      "bytes are outstanding");
  expectMisuse(init + "mov.u32 %r3, 0;" + arrive + ", %r3;", "arrives 0 times");
  expectMisuse(init + "mbarrier.arrive.noComplete.shared.b64 _, [%r1], 2;",
               "though it says .noComplete");
  expectMisuse(init + "mbarrier.arrive_drop.shared.b64 _, [%r1], 2;",
               "leaves no arrivals for the next phases");
  std::string expect = "mbarrier.expect_tx.shared::cta.b64 [%r1], 1048575;\n";
  expectMisuse(init + "mbarrier.expect_tx.shared::cta.b64 [%r1], 1048576;",
               "from 0 by 1048576, beyond the limit of 1048575");
  expectMisuse(init + expect + expect, "from 1048575 by 1048575");
  expectMisuse(init + expect + arrive + ", 2;" + arrive + ", 1;",
               "where 2 of 2 arrivals have come and 1048575 bytes are "
               "outstanding");
  expectMisuse(init + "mbarrier.complete_tx.shared::cta.b64 [%r1], 1048575;\n"
                      "mbarrier.complete_tx.shared::cta.b64 [%r1], 1;",
               "from -1048575 by -1");
  expectMisuse(init + "mbarrier.arrive.shared.b64 %d2, [%r1], 2;" + arrive +
                   ", 2;" + "mbarrier.test_wait.shared.b64 %p1, [%r1], %d2;",
               "waits for phase 0 of the barrier that line 12 initialized, "
               "which is in phase 2 (parity 0)");
  expectMisuse(init + "mbarrier.init.shared.b64 [%r2], 1;"
                      "mbarrier.arrive.shared.b64 %d2, [%r2];"
                      "mbarrier.test_wait.shared.b64 %p1, [%r1], %d2;",
               "waits with a state that no arrival");
  expectMisuse(init + "mov.u32 %r3, 2;"
                      "mbarrier.try_wait.parity.shared.b64 %p1, [%r1], %r3;",
               "waits for parity 2");
  expectMisuse(init + "mbarrier.inval.shared.b64 [%r1];" + arrive + ";",
               "finds no mbarrier there");
  expectMisuse(init + "mbarrier.inval.shared.b64 [%r1];"
                      "mbarrier.inval.shared.b64 [%r1];",
               "finds no mbarrier there");
  expectMisuse(init + expect + "mbarrier.inval.shared.b64 [%r1];",
               "while it is in use");
}

TEST_F(MbarrierTest, ReportsAccessesOfTheObject) {
  std::string init = "mbarrier.init.shared.b64 [%r1+8], 2;\n";
  for (const char *access :
       {"st.shared.u32 [%r1+12], 1;", "ld.shared.u32 %r3, [%r1+8];",
        "ld.shared.u8 %h3, [%r1+15];", "atom.shared.add.u32 %r3, [%r1+8], 1;",
        "st.shared.v4.u32 [%r1], {%r10, %r10, %r10, %r10};"})
    expectMisuse(init + access, "there is an mbarrier object");
  // Its neighbours are ordinary memory.
  EXPECT_EQ(results(init + "st.shared.u64 [%r1], 1; st.shared.u32 [%r1+16], 2;"
                           "ld.shared.u32 %r20, [%r1+16];",
                    1),
            (Values{2}));
}

TEST_F(MbarrierTest, ReportsBadAddresses) {
  uint64_t output = upload(std::vector<uint32_t>(1, 0));
  expectReport(text("mbarrier.init.b64 [%d1], 1;"), {1}, {1}, arguments(output),
               ReportKind::OutOfBounds, "needs an address in shared memory");
  expectReport(text("mbarrier.init.shared.b64 [%r1+1024], 1;"), {1}, {1},
               arguments(output), ReportKind::OutOfBounds, "beyond");
  expectReport(text("mbarrier.arrive.shared.b64 _, [%r1+1024];"), {1}, {1},
               arguments(output), ReportKind::OutOfBounds,
               "needs an mbarrier in the block's 32 bytes of shared memory");
  expectReport(text("add.u32 %r1, %r1, 0x3000000;"
                    "mbarrier.arrive.shared::cluster.b64 _, [%r1];"),
               {1}, {1}, arguments(output), ReportKind::ClusterMisuse,
               "needs the shared memory of rank 2, but the cluster has 1");
}

TEST_F(MbarrierTest, ADeadlockTellsTheBarrier) {
  std::string body = R"(
    setp.eq.u32 %p3, %r10, 0;
    @%p3 mbarrier.init.shared.b64 [%r2], 2;
    bar.sync 0;
    @%p3 mbarrier.arrive.expect_tx.shared.b64 _, [%r2], 64;
  WAIT:
    mbarrier.try_wait.parity.shared.b64 %p1, [%r2], 0;
    @!%p1 bra WAIT;
  )";
  uint64_t output = upload(std::vector<uint32_t>(1, 0));
  for (uint64_t seed : {0, 3}) {
    auto result = runSeed(text(body), {1}, {64}, arguments(output), seed);
    ASSERT_FALSE(bool(result));
    EXPECT_EQ(result.report().kind, ReportKind::Deadlock);
    std::string report = result.report().str();
    std::string state =
        "waits for parity 0 of the mbarrier at offset 8, in phase 0 (parity "
        "0), where 1 of 2 arrivals have come and 64 bytes are outstanding";
    for (const char *warp : {"warp 0", "warp 1"})
      EXPECT_NE(report.find(std::string(warp) +
                            " polls at 'mbarrier.try_wait.parity.shared.b64', "
                            "line 18: " +
                            state),
                std::string::npos)
          << report;
    EXPECT_NE(report.find("waits for parity 0 of the mbarrier at offset 8, "
                          "which is in phase 0"),
              std::string::npos)
        << report;
  }
}

TEST_F(MbarrierTest, LanesOfOneWarpMayWaitForEachOther) {
  // A loop of waiting lanes must not keep the arriving ones from running.
  std::string body = R"(
    setp.eq.u32 %p3, %r10, 0;
    @%p3 mbarrier.init.shared.b64 [%r1], 1;
    bar.warp.sync 0xffffffff;
    @%p3 bra ARRIVE;
  WAIT:
    mbarrier.try_wait.parity.shared.b64 %p1, [%r1], 0;
    @!%p1 bra WAIT;
    bra DONE;
  ARRIVE:
    mbarrier.arrive.shared.b64 _, [%r1];
  DONE:
  )";
  uint64_t output = upload(std::vector<uint32_t>(1, 0));
  expectClean(text(body), {1}, {32}, arguments(output));
}

TEST_F(MbarrierTest, RefusesOtherForms) {
  auto refuse = [&](const char *code, const char *part) {
    expectRefused(text(code), part);
  };
  refuse("mbarrier.arrive.shared::cluster.b64 %d2, [%r1];",
         "a barrier in .shared::cluster returns no state");
  refuse("mbarrier.arrive.release.shared.b64 %d2, [%r1];",
         "expected '.cta' or '.cluster' as the scope");
  refuse("mbarrier.arrive.release.gpu.shared.b64 %d2, [%r1];",
         "expected '.cta' or '.cluster' as the scope");
  refuse("mbarrier.arrive.acquire.cta.shared.b64 %d2, [%r1];", "'.acquire'");
  refuse("mbarrier.arrive.expect_tx.shared.b64 %d2, [%r1];",
         "expected 3 operands, found 2");
  refuse("mbarrier.arrive.noComplete.shared.b64 %d2, [%r1];",
         "expected 3 operands, found 2");
  refuse("mbarrier.arrive.shared.b32 %d2, [%r1];", "'.b32'");
  refuse("mbarrier.arrive.global.b64 %d2, [%d1];", "'.global'");
  refuse("mbarrier.init.shared::cluster.b64 [%r1], 1;", "'.shared::cluster'");
  refuse("mbarrier.test_wait.shared::cluster.b64 %p1, [%r1], %d2;",
         "'.shared::cluster'");
  refuse("mbarrier.test_wait.shared.b64 %p1, [%r1], %d2, 5;",
         "expected 3 operands, found 4");
  refuse("mbarrier.test_wait.release.cta.shared.b64 %p1, [%r1], %d2;",
         "'.release'");
  refuse("mbarrier.test_wait.parity.shared.b64 %p1, [%r1], %d2;", "8 bytes");
  refuse("mbarrier.try_wait.shared.b64 %p1, [%r1], %r2;",
         "does not hold a .b64");
  refuse("mbarrier.report_on.b64 [%d1];", "'.report_on'");
}

} // namespace

//===- MemberMaskTest.cpp - Parts of a warp ---------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Lanes of one warp that pass different member masks to the same instruction,
// lanes whose value no shuffle takes, and barriers after some lanes have
// exited.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

#include <bit>

using namespace ropewalk::emulator;

namespace {

struct MemberMaskTest : Fixture {
  uint64_t output = 0;

  /// %r1 is the thread, %r3 the mask of its half of the warp, %r0 what it
  /// stores at the end (at first 77); s are 256 bytes of shared memory.
  LaunchResult launch(const std::string &body, uint32_t threads = 32,
                      const std::string &rest = "") {
    output = upload(std::vector<uint32_t>(threads, 55));
    return run(entryText("ld.param.u64 %d1, [p0]; mov.u32 %r1, %tid.x;\n"
                         "mul.wide.u32 %d2, %r1, 4; add.s64 %d1, %d1, %d2;\n"
                         "and.b32 %r2, %r1, 16; shl.b32 %r3, 0xffff, %r2;\n"
                         "mov.u32 %r4, s; shl.b32 %r2, %r1, 2;\n"
                         "add.u32 %r4, %r4, %r2; mov.u32 %r0, 77;\n" +
                             body + "\nst.global.u32 [%d1], %r0;\nret;\n" +
                             rest,
                         1, ".shared .align 4 .b8 s[512];"),
               {1}, {threads}, arguments(output));
  }
  /// What lane i of 32 stores is `expected(i)`.
  template <class F> void expect(const std::string &body, F expected) {
    auto result = launch(body);
    ASSERT_TRUE(bool(result)) << body << "\n" << result.report().str();
    auto got = download<uint32_t>(output, 32);
    for (uint32_t i = 0; i < 32; ++i)
      EXPECT_EQ(got[i], uint32_t(expected(i))) << body << " lane " << i;
  }
  void expectFault(const std::string &body, ReportKind kind, int lane,
                   const std::string &part, uint32_t threads = 32) {
    auto result = launch(body, threads);
    ASSERT_FALSE(bool(result)) << "the planted fault was not found\n" << body;
    EXPECT_EQ(result.report().kind, kind) << result.report().str();
    EXPECT_EQ(result.report().lane, lane) << result.report().str();
    EXPECT_NE(result.report().detail.find(part), std::string::npos)
        << result.report().str();
  }
};

// Guards halves of a warp that do the same together, each for itself.
TEST_F(MemberMaskTest, HalvesOfAWarp) {
  expect("shfl.sync.up.b32 %r0, %r1, 1, 0x1000, %r3;",
         [](uint32_t i) { return i % 16 ? i - 1 : i; });
  expect("shfl.sync.bfly.b32 %r0, %r1, 1, 0x101f, %r3;",
         [](uint32_t i) { return i ^ 1; });
  expect("shfl.sync.idx.b32 %r0, %r1, 3, 0x101f, %r3;",
         [](uint32_t i) { return i / 16 * 16 + 3; });
  expect("redux.sync.add.u32 %r0, %r1, %r3;",
         [](uint32_t i) { return i < 16 ? 120 : 376; });
  expect("and.b32 %r5, %r1, 1; setp.ne.u32 %p1, %r5, 0;\n"
         "vote.sync.ballot.b32 %r0, %p1, %r3;",
         [](uint32_t i) { return i < 16 ? 0xaaaau : 0xaaaa0000u; });
  expect("setp.eq.u32 %p1, %r1, 3; vote.sync.any.pred %p2, %p1, %r3;\n"
         "selp.u32 %r0, 1, 0, %p2;",
         [](uint32_t i) { return i < 16; });
  expect("and.b32 %r5, %r1, 3; match.any.sync.b32 %r0, %r5, %r3;",
         [](uint32_t i) { return 0x1111u << i % 4 << i / 16 * 16; });
  expect("shr.u32 %r5, %r1, 4; match.all.sync.b32 %r0|%p1, %r5, %r3;",
         [](uint32_t i) { return 0xffffu << i / 16 * 16; });
  // One lane of the upper half differs.
  expect("min.u32 %r5, %r1, 30; shr.u32 %r5, %r5, 1;\n"
         "setp.lt.u32 %p2, %r1, 16; selp.u32 %r5, 0, %r5, %p2;\n"
         "match.all.sync.b32 %r0|%p1, %r5, %r3; selp.u32 %r0, 1, 0, %p1;",
         [](uint32_t i) { return i < 16; });
}

TEST_F(MemberMaskTest, ElectsALaneOfEachHalf) {
  std::string body =
      entryText("ld.param.u64 %d1, [p0]; mov.u32 %r1, %tid.x;\n"
                "mul.wide.u32 %d2, %r1, 4; add.s64 %d1, %d1, %d2;\n"
                "and.b32 %r2, %r1, 16; shl.b32 %r3, 0xffff, %r2;\n"
                "elect.sync %r0|%p1, %r3; @%p1 add.u32 %r0, %r0, 100;\n"
                "st.global.u32 [%d1], %r0;",
                1);
  body.replace(body.find("sm_80"), 5, "sm_90");
  output = upload(std::vector<uint32_t>(32, 55));
  ASSERT_RAN(run(body, {1}, {32}, arguments(output)));
  auto got = download<uint32_t>(output, 32);
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(got[i], i / 16 * 16 + (i % 16 ? 0 : 100));
}

// Guards that each lane may have a group of its own, as labels make them.
TEST_F(MemberMaskTest, GroupsByLabel) {
  expect("rem.u32 %r5, %r1, 3; match.any.sync.b32 %r6, %r5, -1;\n"
         "redux.sync.add.u32 %r0, 1, %r6;",
         [](uint32_t i) { return i % 3 < 2 ? 11 : 10; });
  expect("mov.u32 %r6, %lanemask_eq; redux.sync.add.u32 %r0, %r1, %r6;",
         [](uint32_t i) { return i; });
}

// Guards what bar.warp.sync orders: each group by itself.
TEST_F(MemberMaskTest, BarriersOfHalves) {
  std::string write = "st.shared.u32 [%r4], %r1; bar.warp.sync %r3;\n";
  expect(write + "xor.b32 %r5, %r2, 60; mov.u32 %r6, s;\n"
                 "add.u32 %r6, %r6, %r5; ld.shared.u32 %r0, [%r6];",
         [](uint32_t i) { return i ^ 15; });
  expectFault(write + "xor.b32 %r5, %r2, 64; mov.u32 %r6, s;\n"
                      "add.u32 %r6, %r6, %r5; ld.shared.u32 %r0, [%r6];",
              ReportKind::SharedRace, 0, "nothing orders the two");
}

/// Lanes from 24 on come later, on a path that might have exited, so that
/// there is no place where the warp must come together.
const std::string apart = "setp.lt.u32 %p1, %r1, 24; @%p1 bra S;\n"
                          "setp.eq.u32 %p2, %r1, 100; @%p2 exit;\nS:\n";

// Guards a half that goes through while the other waits for some of its lanes,
// and that the lanes find together again.
TEST_F(MemberMaskTest, AHalfWaits) {
  expect(apart + "redux.sync.add.u32 %r0, %r1, %r3;",
         [](uint32_t i) { return i < 16 ? 120 : 376; });
  expect(apart + "redux.sync.add.u32 %r0, %r1, %r3; bar.sync 0;\n"
                 "redux.sync.max.u32 %r5, %r1, -1; add.u32 %r0, %r0, %r5;",
         [](uint32_t i) { return (i < 16 ? 120 : 376) + 31; });
  // Quarters: both of the first half are through, the others wait for each
  // other's lanes in two groups.
  expect("setp.lt.u32 %p1, %r1, 28; @%p1 bra S;\n"
         "setp.eq.u32 %p2, %r1, 100; @%p2 exit;\nS:\n"
         "and.b32 %r5, %r1, 1; setp.ne.u32 %p3, %r5, 0;\n"
         "selp.u32 %r6, 0xaaaa0000, 0x55550000, %p3;\n"
         "setp.lt.u32 %p4, %r1, 16; selp.u32 %r6, 0xffff, %r6, %p4;\n"
         "redux.sync.add.u32 %r0, %r1, %r6;",
         [](uint32_t i) { return i < 16  ? 120
                                 : i % 2 ? 192
                                         : 184; });
}

TEST_F(MemberMaskTest, WrongMasks) {
  expectFault("mov.u32 %r5, 0xffff; shfl.sync.idx.b32 %r0, %r1, 0, 31, %r5;",
              ReportKind::WarpSync, 16,
              "is executed by a lane outside of its member mask 0x0000ffff");
  // The right mask in the wrong half.
  expectFault("not.b32 %r3, %r3; redux.sync.add.u32 %r0, %r1, %r3;",
              ReportKind::WarpSync, 0,
              "is executed by a lane outside of its member mask 0xffff0000");
  expectFault("setp.lt.u32 %p1, %r1, 16; @%p1 mov.u32 %r3, -1;\n"
              "redux.sync.add.u32 %r0, %r1, %r3;",
              ReportKind::WarpSync, 16,
              "is executed with the member mask 0xffff0000, but lane 0 expects "
              "this lane in its mask 0xffffffff");
  expectFault("shfl.sync.idx.b32 %r0, %r1, 20, 31, %r3;", ReportKind::WarpSync,
              0, "reads a lane that does not take part");
  expectFault("setp.ne.u32 %p1, %r1, 20;\n"
              "@%p1 redux.sync.add.u32 %r0, %r1, %r3;",
              ReportKind::WarpSync, 20,
              "is not executed by a lane of its member mask 0xffff0000");
  expectFault("setp.ge.u32 %p1, %r1, 24; @%p1 bra S;\n"
              "redux.sync.add.u32 %r0, %r1, %r3;\nS:",
              ReportKind::Deadlock, 16,
              "waits for lanes of its member mask that never come");
}

// Guards that only the lanes count whose value is taken.
TEST_F(MemberMaskTest, ShufflesReadWhatTheyTake) {
  std::string first = "setp.eq.u32 %p1, %r1, 0; @%p1 mov.u32 %r5, 7;\n";
  expect(first + "shfl.sync.idx.b32 %r0, %r5, 0, 31, -1;",
         [](uint32_t) { return 7; });
  expect(first + "shfl.sync.idx.b32 %r5, %r5, 0, 31, -1; mov.u32 %r0, %r5;",
         [](uint32_t) { return 7; });
  std::string halves = "and.b32 %r6, %r1, 15; setp.eq.u32 %p1, %r6, 0;\n"
                       "@%p1 mov.u32 %r5, %r1;\n";
  expect(halves + "shfl.sync.idx.b32 %r0, %r5, 0, 0x101f, %r3;",
         [](uint32_t i) { return i & 16; });
  ReportKind kind = ReportKind::UninitializedRegister;
  expectFault(first + "shfl.sync.idx.b32 %r0, %r5, 1, 31, -1;", kind, 1,
              "reads register %r5 before it is written, for lane 0");
  expectFault(first + "shfl.sync.idx.b32 %r5, %r5, 1, 31, -1;", kind, 1,
              "reads register %r5 before it is written, for lane 0");
  // Lane 0 is out of range and takes its own value.
  expectFault("setp.ne.u32 %p1, %r1, 0; @%p1 mov.u32 %r5, 7;\n"
              "shfl.sync.up.b32 %r0, %r5, 1, 0, -1;",
              kind, 0, "reads register %r5 before it is written, for lane 0");
  expect("setp.ne.u32 %p1, %r1, 31; @%p1 mov.u32 %r5, 7;\n"
         "shfl.sync.up.b32 %r0, %r5, 1, 0, 0xffffffff;",
         [](uint32_t) { return 7; });
  // Every lane reads which lane it takes, and its mask.
  expectFault("setp.eq.u32 %p1, %r1, 0; @%p1 mov.u32 %r6, 0;\n"
              "shfl.sync.idx.b32 %r0, %r1, %r6, 31, -1;",
              kind, 1, "reads register %r6");
  expectFault("setp.eq.u32 %p1, %r1, 0; @%p1 mov.u32 %r6, 31;\n"
              "shfl.sync.idx.b32 %r0, %r1, 0, %r6, -1;",
              kind, 1, "reads register %r6");
  // The others read the values of all lanes.
  for (const char *code :
       {"redux.sync.add.u32 %r0, %r5, -1;", "match.any.sync.b32 %r0, %r5, -1;",
        "match.all.sync.b32 %r0|%p2, %r5, -1;"})
    expectFault(first + code, kind, 1, "reads register %r5");
  expectFault("setp.eq.u32 %p1, %r1, 0; @%p1 setp.eq.u32 %p2, %r1, 0;\n"
              "vote.sync.any.pred %p3, %p2, -1;",
              kind, 1, "reads register %p2");
}

// Guards barriers that the lanes reach which have not exited.
TEST_F(MemberMaskTest, BarriersAfterAnExit) {
  std::string exchange = "st.shared.u32 [%r4], %r1; bar.sync 0;\n"
                         "sub.u32 %r5, 99, %r1; shl.b32 %r5, %r5, 2;\n"
                         "mov.u32 %r6, s; add.u32 %r6, %r6, %r5;\n"
                         "ld.shared.u32 %r0, [%r6];\n";
  std::string test = "setp.ge.u32 %p1, %r1, 100;\n";
  for (const std::string &body :
       {test + "@%p1 exit;\n" + exchange,
        test + "@!%p1 bra GO; ret;\nGO:\n" + exchange,
        test + "@%p1 bra DONE;\n" + exchange + "bra GO;\nDONE: ret;\nGO:\n"}) {
    auto result = launch(body, 128);
    ASSERT_TRUE(bool(result)) << body << "\n" << result.report().str();
    auto got = download<uint32_t>(output, 128);
    for (uint32_t i = 0; i < 128; ++i)
      EXPECT_EQ(got[i], i < 100 ? 99 - i : 55) << body << " lane " << i;
  }
  // The way of a compiler: one end for all.
  auto result =
      launch(test + "@%p1 bra DONE;\n" + exchange, 128, "DONE: ret;\n");
  ASSERT_TRUE(bool(result)) << result.report().str();
  EXPECT_EQ(download<uint32_t>(output, 128)[99], 0u);
  EXPECT_EQ(download<uint32_t>(output, 128)[100], 55u);
  result = launch(test + "@%p1 bra DONE;\nsetp.lt.u32 %p2, %r1, 98;\n"
                         "bar.red.popc.u32 %r0, 0, %p2;\n",
                  128, "DONE: ret;\n");
  ASSERT_TRUE(bool(result)) << result.report().str();
  EXPECT_EQ(download<uint32_t>(output, 128)[99], 98u);
  // So do instructions of the warp.
  result = launch(test + "@%p1 bra DONE;\nredux.sync.max.u32 %r0, %r1, -1;\n",
                  128, "DONE: ret;\n");
  ASSERT_TRUE(bool(result)) << result.report().str();
  EXPECT_EQ(download<uint32_t>(output, 128)[98], 99u);
  // Paths that meet nowhere before the barrier.
  expect(apart + "bar.sync 0; add.u32 %r0, %r1, 1;",
         [](uint32_t i) { return i + 1; });
}

TEST_F(MemberMaskTest, LanesElsewhere) {
  std::string part = " of the warp while lanes 0xff000000 are elsewhere";
  expectFault("setp.ge.u32 %p1, %r1, 24; @%p1 bra S;\nbar.sync 0;\nS:",
              ReportKind::BarrierDivergence, 0,
              "is reached by lanes 0x00ffffff" + part);
  // At another barrier, at an instruction of the warp.
  expectFault("setp.ge.u32 %p1, %r1, 24; @%p1 bra S;\nbar.sync 0;\nbra T;\nS:\n"
              "bar.sync 0;\nT:",
              ReportKind::BarrierDivergence, 0, part);
  expectFault("setp.ge.u32 %p1, %r1, 24; @%p1 bra S;\nbar.sync 0;\nbra T;\nS:\n"
              "bar.warp.sync -1;\nT:",
              ReportKind::BarrierDivergence, 0, part);
  expectFault("setp.lt.u32 %p1, %r1, 24; @%p1 bar.sync 0;",
              ReportKind::BarrierDivergence, 0, part);
}

/// A cluster of two blocks of 32 threads, of which those from 20 on exit.
TEST_F(MemberMaskTest, ClusterBarriersAfterAnExit) {
  auto text = [](const std::string &modifier, const std::string &test) {
    std::string body = entryText(
        "mov.u32 %r1, %tid.x;\nsetp.ge.u32 %p1, %r1, 20;\n" + test +
            "barrier.cluster.arrive" + modifier + ";\nbarrier.cluster.wait" +
            modifier +
            ";\nld.param.u64 %d1, [p0]; red.global.add.u32 [%d1], 1;\n"
            "DONE: ret;\n",
        1);
    body.replace(body.find("sm_80"), 5, "sm_90");
    return body;
  };
  LaunchOptions options;
  options.cluster = {2, 1, 1};
  for (const char *modifier : {"", ".aligned"})
    for (const char *test :
         {"@%p1 exit;\n", "@%p1 bra DONE;\n", "@!%p1 bra GO; ret;\nGO:\n"}) {
      uint64_t cell = upload(std::vector<uint32_t>(1, 0));
      auto result =
          run(text(modifier, test), {2}, {32}, arguments(cell), 0, options);
      ASSERT_TRUE(bool(result)) << modifier << test << result.report().str();
      EXPECT_EQ(download<uint32_t>(cell, 1)[0], 40u);
    }
  // Lanes that are still to store something.
  std::string alive = text(".aligned", "@%p1 bra LATE;\n");
  alive.replace(alive.find("DONE:"), 5,
                "LATE: ld.param.u64 %d2, [p0]; red.global.add.u32 [%d2], 0;\n"
                "DONE:");
  uint64_t cell = upload(std::vector<uint32_t>(1, 0));
  auto result = run(alive, {2}, {32}, arguments(cell), 0, options);
  ASSERT_FALSE(bool(result));
  EXPECT_EQ(result.report().kind, ReportKind::BarrierDivergence)
      << result.report().str();
  EXPECT_EQ(result.report().lane, 20);
}

} // namespace

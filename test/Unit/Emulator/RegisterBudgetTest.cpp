//===- RegisterBudgetTest.cpp - setmaxnreg ----------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Guards the accounts of setmaxnreg: what a thread starts with, when a warp
// waits for the registers of others, and what can never be.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

using namespace ropewalk::emulator;

namespace {

struct RegisterBudgetTest : Fixture {
  /// The warpgroup's number is in %r0.
  LaunchResult launch(const std::string &body, const std::string &bounds,
                      unsigned threads = 384,
                      const LaunchOptions &options = {}) {
    return run(text(body, bounds), {1}, {threads}, {}, 0, options);
  }
  static std::string text(const std::string &body, const std::string &bounds) {
    return ".version 8.0\n.target sm_90a\n.address_size 64\n.entry k() " +
           bounds +
           "\n{\n.reg .pred %p<4>; .reg .b32 %r<4>;\n"
           "mov.u32 %r0, %tid.x; shr.u32 %r1, %r0, 5; shr.u32 %r0, %r0, 7;\n"
           "setp.eq.u32 %p0, %r0, 0; setp.eq.u32 %p1, %r1, 5;\n" +
           body + "\nret;\n}\n";
  }
  void expect(const LaunchResult &outcome, ReportKind kind,
              const std::string &detail) {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.report().kind, kind) << outcome.report().str();
    EXPECT_NE(outcome.report().detail.find(detail), std::string::npos)
        << outcome.report().str();
  }
};

const char *const Bounds = ".maxntid 384, 1, 1";

std::string decrease(int count) {
  return "setmaxnreg.dec.sync.aligned.u32 " + std::to_string(count) + ";\n";
}
std::string increase(int count) {
  return "setmaxnreg.inc.sync.aligned.u32 " + std::to_string(count) + ";\n";
}
/// One warpgroup gives, the others take.
std::string specialize(int less, int more) {
  return "@%p0 bra GIVE;\n" + increase(more) + "bra DONE;\nGIVE:\n" +
         decrease(less) + "DONE:\n";
}

TEST_F(RegisterBudgetTest, MovesRegistersBetweenWarpgroups) {
  // 65536 registers for 384 threads: 168 each. 240 + 240 + 24 fit.
  ASSERT_RAN(launch(specialize(24, 240), Bounds));
  ASSERT_RAN(launch(specialize(40, 232), Bounds));
  for (uint64_t seed = 1; seed < 10; ++seed) {
    LaunchOptions options;
    options.scheduleSeed = seed;
    ASSERT_RAN(launch(specialize(40, 232), Bounds, 384, options));
  }
}

TEST_F(RegisterBudgetTest, TakesTheInitialCountFromBoundsOrOptions) {
  // One more multiple of 8 than there is.
  expect(launch(specialize(40, 240), Bounds), ReportKind::RegisterBudget,
         "waits for 240 registers a thread, has 168, and nobody is left who "
         "could add to the pool of ");
  ASSERT_RAN(launch(specialize(24, 48), ".maxnreg 40"));
  expect(launch(specialize(24, 56), ".maxnreg 40"), ReportKind::RegisterBudget,
         "waits for 56 registers a thread, has 40");
  ASSERT_RAN(launch(specialize(24, 48), ".reqntid 384, 1, 1 .minnctapersm 4"));
  expect(launch(specialize(24, 56), ".reqntid 384, 1, 1 .minnctapersm 4"),
         ReportKind::RegisterBudget, "waits for 56 registers a thread, has 40");
  LaunchOptions options;
  options.registersPerThread = 80;
  ASSERT_RAN(launch(specialize(24, 104), Bounds, 384, options));
  expect(launch(specialize(24, 112), Bounds, 384, options),
         ReportKind::RegisterBudget, "waits for 112 registers a thread");
  // Bounds with room for 256 do not mean that a thread has them: the assembler
  // leaves an increase something to do.
  ASSERT_RAN(launch(specialize(40, 232), ".maxntid 256, 1, 1", 256));
  // A thread never has more than 256, of 65536 / 128.
  ASSERT_RAN(launch(increase(256) + decrease(248) + increase(256),
                    ".maxntid 128, 1, 1", 128));
}

TEST_F(RegisterBudgetTest, ReportsWhatCannotBe) {
  LaunchOptions options;
  options.registersPerThread = 168;
  expect(launch(increase(160), Bounds, 384, options),
         ReportKind::RegisterBudget,
         "asks for 160 registers a thread, but the threads have 168");
  expect(launch(decrease(176), Bounds, 384, options),
         ReportKind::RegisterBudget,
         "asks for 176 registers a thread, but the threads have 168");
  // 256 for one warp leave fewer than 24 for each of the eleven others.
  options.registersPerThread = 40;
  expect(launch(increase(256), Bounds, 384, options),
         ReportKind::RegisterBudget,
         "asks for 256 registers a thread, more than the block's 15360 can "
         "ever give");
  expect(launch(increase(176), ""), ReportKind::RegisterBudget,
         "has no effect in a kernel with neither .maxnreg nor .maxntid");
}

TEST_F(RegisterBudgetTest, NamesTheWaitersInADeadlock) {
  // The others wait at a barrier for the warpgroup that waits for registers.
  auto outcome = launch(
      "@%p0 bra GIVE;\n" + increase(200) + "GIVE:\nbar.sync 0;\n", Bounds);
  expect(outcome, ReportKind::RegisterBudget,
         "waits for 200 registers a thread, has 168");
  EXPECT_NE(outcome.report().detail.find("warp 4 waits at 'setmaxnreg.inc"),
            std::string::npos)
      << outcome.report().str();
  EXPECT_NE(outcome.report().detail.find("warp 0 waits at barrier 0"),
            std::string::npos)
      << outcome.report().str();
}

TEST_F(RegisterBudgetTest, RequiresWholeWarpgroups) {
  expect(launch("@%p1 bra DONE;\n" + decrease(160) + "DONE:\n", Bounds),
         ReportKind::WarpSync, "by warp 5 of the warpgroup, which has exited");
  expect(launch("@%p1 bra DONE;\n" + decrease(160) + "bra END;\nDONE:\n" +
                    decrease(152) + "END:\n",
                Bounds),
         ReportKind::WarpSync,
         "is executed where warp 4 of its warpgroup executes "
         "'setmaxnreg.dec.sync.aligned.u32' of line ");
  expect(launch(decrease(160), Bounds, 64), ReportKind::WarpSync,
         "needs a warpgroup of 4 warps, but the block has only 2");
  expect(launch("mov.u32 %r0, %laneid; setp.lt.u32 %p2, %r0, 9;\n@%p2 " +
                    decrease(160),
                Bounds),
         ReportKind::WarpSync, "needs all 32 lanes of the warp");
}

TEST_F(RegisterBudgetTest, RefusesOtherForms) {
  auto refusal = [&](const std::string &line) {
    Error error;
    EXPECT_FALSE(Module::parse(text(line, Bounds), error)) << line;
    return error.message;
  };
  for (int count : {0, 16, 28, 264})
    EXPECT_EQ(refusal(decrease(count)),
              "'setmaxnreg.dec.sync.aligned.u32': expected a multiple of 8 "
              "from 24 to 256, found " +
                  std::to_string(count));
  EXPECT_NE(refusal("setmaxnreg.dec.sync.aligned.u32 %r0;")
                .find("expected an integer constant"),
            std::string::npos);
  EXPECT_NE(refusal("setmaxnreg.sync.aligned.u32 40;")
                .find("expected '.inc' or '.dec'"),
            std::string::npos);
  EXPECT_NE(refusal("setmaxnreg.dec.sync.aligned.s32 40;")
                .find("expected '.sync.aligned.u32'"),
            std::string::npos);
}

} // namespace

//===- WgmmaHazardTest.cpp - Misuse of wgmma --------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Guards that each hazard of wgmma is found and named, and that the same kernel
// without the mistake runs: registers used before the wait, missing fences,
// warps of a warpgroup that do not act as one.
//
//===----------------------------------------------------------------------===//

#include "WgmmaModel.h"

using namespace ropewalk::emulator;

namespace {

const std::string Fence = "wgmma.fence.sync.aligned;\n";
const std::string Commit = "wgmma.commit_group.sync.aligned;\n";
std::string wait(unsigned pending) {
  return "wgmma.wait_group.sync.aligned " + std::to_string(pending) + ";\n";
}

struct WgmmaHazardTest : Fixture {
  /// D is %r0 to %r3, a second D %r4 to %r7, A in registers %a0 to %a3.
  static std::string multiply(unsigned d = 0, bool hasFragments = false,
                              const char *scale = "1") {
    return "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 " +
           WgmmaText::list("%r", 4, d) + ", " +
           (hasFragments ? "{%a0, %a1, %a2, %a3}" : "%d4") + ", %d5, " + scale +
           ", 1, 1, " + (hasFragments ? "0;\n" : "0, 0;\n");
  }

  LaunchResult launch(const std::string &body, unsigned threads = 128,
                      const LaunchOptions &options = {}) {
    WgmmaText kernel;
    kernel.results = 8;
    kernel.memoryBytes = 16384;
    kernel.body = "mov.b64 %d4, " + hex(LayoutModel().descriptor()) +
                  "; mov.b64 %d5, " +
                  hex(LayoutModel{true, 128, 8192}.descriptor()) + ";\n" + body;
    std::vector<uint8_t> memory(16384, 0);
    std::vector<uint32_t> d(threads * 16, 0);
    uint64_t image = upload(memory), results = upload(d), a = upload(d);
    return run(kernel.text(), {1}, {threads}, arguments(image, results, a),
               16384, options);
  }

  void expectClean(const std::string &body) {
    auto outcome = launch(body);
    EXPECT_TRUE(outcome) << body << outcome.report().str();
  }
  void expect(const std::string &body, ReportKind kind,
              const std::string &detail, unsigned threads = 128) {
    auto outcome = launch(body, threads);
    ASSERT_FALSE(outcome) << body;
    EXPECT_EQ(outcome.report().kind, kind) << outcome.report().str();
    EXPECT_NE(outcome.report().detail.find(detail), std::string::npos)
        << body << outcome.report().str();
  }
  void expectHazard(const std::string &body, const std::string &detail) {
    expect(body, ReportKind::RegisterHazard, detail);
  }
};

TEST_F(WgmmaHazardTest, RunsTheUsualSequences) {
  expectClean(Fence + multiply() + Commit + wait(0));
  // Chains on one accumulator, two groups, and a second round after a use.
  expectClean(Fence + multiply() + multiply() + Commit + multiply() + Commit +
              wait(1) + wait(0) + "add.f32 %r0, %r0, %r1;\n" + Fence +
              multiply() + Commit + wait(0));
  // Registers of A that two operations read.
  expectClean(Fence + multiply(0, true) + multiply(4, true) + Commit + wait(0));
  // Other registers are free.
  expectClean(Fence + multiply() + Commit + "add.f32 %r4, %r5, %r6;\n" +
              wait(0));
}

TEST_F(WgmmaHazardTest, FindsAccumulatorsUsedBeforeTheWait) {
  const std::string start = Fence + multiply() + Commit;
  expectHazard(start + "add.f32 %r4, %r0, %r5;\n" + wait(0),
               "'add.f32' reads register %r0, which is in the hands of the "
               "wgmma of line ");
  expectHazard(start + "mov.b32 %r3, 0;\n" + wait(0),
               "'mov.b32' writes register %r3, which is in the hands of");
  expectHazard(start + "mov.b32 %r4, %r3;\n" + wait(0),
               "'mov.b32' reads register %r3, which is in the hands of");
  expectHazard(start + "st.global.b32 [%d2], %r1;\n" + wait(0),
               "'st.global.b32' reads register %r1");
  // Not committed, so that no wait waits for it.
  expectHazard(Fence + multiply() + wait(0) + "add.f32 %r4, %r0, %r5;\n",
               "reads register %r0");
  expectClean(start + wait(0) + "add.f32 %r4, %r0, %r5;\n");
}

TEST_F(WgmmaHazardTest, KnowsWhichGroupsAreComplete) {
  const std::string start = Fence + multiply() + Commit + multiply(4) + Commit;
  expectClean(start + wait(1) + "add.f32 %r0, %r0, %r0;\n" + wait(0));
  expectHazard(start + wait(1) + "add.f32 %r4, %r4, %r4;\n" + wait(0),
               "reads register %r4");
  expectHazard(start + wait(2) + "add.f32 %r0, %r0, %r0;\n" + wait(0),
               "reads register %r0");
  // A group without operations counts.
  expectClean(Fence + multiply() + Commit + Commit + wait(1) +
              "add.f32 %r0, %r0, %r0;\n");
}

TEST_F(WgmmaHazardTest, CompletesAGroupForTheWholeWarpgroup) {
  // Warp 1 overwrites rows of A that only warp 0 multiplies. A group is one
  // operation of four warps, so its own wait is enough, whoever runs first.
  const std::string start = Fence + multiply() + Commit;
  const std::string overwrite =
      "mov.u32 %t0, %tid.x; mov.u32 %t1, memory;\n"
      "setp.eq.u32 %p0, %t0, 32;\n@%p0 st.shared.b32 [%t1], %t0;\n";
  for (uint64_t seed = 0; seed < 10; ++seed) {
    LaunchOptions options;
    options.scheduleSeed = seed;
    auto clean = launch(start + wait(0) + overwrite, 128, options);
    EXPECT_TRUE(clean) << clean.report().str();
    auto early = launch(start + overwrite + wait(0), 128, options);
    ASSERT_FALSE(early);
    // The wgmma of warp 0 may come later, and then reads what was overwritten.
    EXPECT_TRUE(early.report().kind == ReportKind::AsyncHazard ||
                early.report().kind == ReportKind::SharedRace)
        << early.report().str();
  }
}

TEST_F(WgmmaHazardTest, FindsFragmentsUsedBeforeTheWait) {
  const std::string start = Fence + multiply(0, true) + Commit;
  expectHazard(start + "mov.b32 %a2, 0;\n" + wait(0),
               "writes register %a2, which is in the hands of");
  expectHazard(start + "add.u32 %t0, %a2, 1;\n" + wait(0),
               "reads register %a2, which is in the hands of");
  expectClean(start + wait(0) + "mov.b32 %a2, 0;\n");
}

TEST_F(WgmmaHazardTest, FindsTheLineOfTheOtherParty) {
  auto outcome = launch(Fence + multiply() + Commit + "neg.f32 %r0, %r0;\n");
  ASSERT_FALSE(outcome);
  const Report &report = outcome.report();
  EXPECT_EQ(report.other.location.line + 2, report.location.line);
  EXPECT_EQ(report.other.warp, report.warp);
  EXPECT_NE(report.detail.find(
                "of line " + std::to_string(report.other.location.line) + " "),
            std::string::npos)
      << report.str();
}

TEST_F(WgmmaHazardTest, RequiresFences) {
  expectHazard(multiply() + Commit + wait(0),
               "is not preceded by a wgmma.fence");
  const std::string use = "add.f32 %r2, %r2, %r2;\n";
  expectHazard(Fence + use + multiply() + Commit + wait(0),
               "uses register %r2, which the 'add.f32' of line ");
  expectClean(use + Fence + multiply() + Commit + wait(0));
  // A read counts as well.
  expectHazard(Fence + "add.f32 %r4, %r2, %r2;\n" + multiply() + Commit +
                   wait(0),
               "uses register %r2, which the 'add.f32' of line ");
  expectHazard(Fence + "add.u32 %a1, %a1, 1;\n" + multiply(0, true) + Commit +
                   wait(0),
               "uses register %a1, which the 'add.u32' of line ");
  // After a wait a new fence is due.
  expectHazard(Fence + multiply() + Commit + wait(0) + use + multiply() +
                   Commit + wait(0),
               "has used since the last wgmma.fence");
  // Moves, which compilers put anywhere, vanish in the assembler.
  const std::string move = "mov.b32 %r2, 0f3f800000;\n";
  expectClean(Fence + move + multiply() + Commit + wait(0));
  // Those after a wait are what the program does with its results.
  const std::string first = Fence + multiply(0, true) + Commit + wait(0);
  for (const std::string &change : {move, std::string("mov.b32 %a1, 0;\n"),
                                    std::string("mov.b32 %r4, %r2;\n")}) {
    expectHazard(first + change + multiply(0, true) + Commit + wait(0),
                 "which the 'mov.b32' of line ");
    expectClean(first + change + Fence + multiply(0, true) + Commit + wait(0));
  }
}

TEST_F(WgmmaHazardTest, RequiresFencesBetweenShapes) {
  const std::string wide =
      "wgmma.mma_async.sync.aligned.m64n16k16.f32.f16.f16 " +
      WgmmaText::list("%r", 8) + ", %d4, %d5, 1, 1, 1, 0, 0;\n";
  expectHazard(Fence + multiply() + wide + Commit + wait(0),
               "uses register %r0, which the "
               "'wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16' of line ");
  expectClean(Fence + multiply() + Fence + wide + Commit + wait(0));
  // Another instruction of the same shape.
  expectClean(Fence + multiply() + multiply(0, true) + Commit + wait(0));
}

TEST_F(WgmmaHazardTest, FindsResultsThatAnotherReadsAsA) {
  const std::string chained =
      "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 "
      "{%r4, %r5, %r6, %r7}, {%r0, %r1, %r2, %r3}, %d5, 1, 1, 1, 0;\n";
  expectHazard(Fence + multiply() + chained + Commit + wait(0),
               "reads register %r0, which is in the hands of");
  expectClean(Fence + multiply() + Commit + wait(0) + Fence + chained + Commit +
              wait(0));
}

TEST_F(WgmmaHazardTest, ReadsAccumulatorsOnlyWhereScaleDHolds) {
  // %r100 to %r103 are never written.
  auto fresh = [](const char *scale) {
    return "setp.eq.u32 %p1, 1, 1; setp.eq.u32 %p2, 1, 2;\n" + Fence +
           multiply(100, false, scale) + Commit + wait(0) +
           "add.f32 %r0, %r100, %r103;\n";
  };
  expectClean(fresh("0"));
  expectClean(fresh("%p2"));
  expectClean(fresh("!%p1"));
  for (const char *scale : {"1", "%p1", "!%p2"})
    expect(fresh(scale), ReportKind::UninitializedRegister,
           "reads register %r103 before it is written");
}

TEST_F(WgmmaHazardTest, RequiresWholeWarpgroups) {
  expect(Fence + multiply() + Commit + wait(0), ReportKind::WarpSync,
         "needs a warpgroup of 4 warps, but the block has only 2 from warp 0 "
         "on",
         64);
  expect(Fence + multiply() + Commit + wait(0), ReportKind::WarpSync,
         "but the block has only 1 from warp 4 on", 160);
  expect("setp.lt.u32 %p1, %t0, 7;\n@%p1 " + Fence, ReportKind::WarpSync,
         "needs all 32 lanes of the warp");
}

TEST_F(WgmmaHazardTest, RequiresTheSameStepsInAWarpgroup) {
  const std::string isTwo = "shr.u32 %t1, %t0, 5; setp.eq.u32 %p1, %t1, 2;\n";
  // Warp 2 leaves out one multiplication.
  expect(isTwo + Fence + multiply() + "@%p1 bra SKIP;\n" + multiply() +
             "SKIP:\n" + Commit + wait(0),
         ReportKind::WarpSync,
         "'wgmma.commit_group.sync.aligned' is executed where warp 3 of its "
         "warpgroup executes "
         "'wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16' of line ");
  expect(isTwo + Fence + "@%p1 bra DONE;\n" + multiply() + Commit + wait(0) +
             "DONE:\n",
         ReportKind::WarpSync, "is not executed by warp 2 of the warpgroup");
  // The last one to come to a barrier goes on first.
  expect("shr.u32 %t1, %t0, 5; setp.eq.u32 %p1, %t1, 3;\n@%p1 bra DONE;\n" +
             Fence + "DONE:\n",
         ReportKind::WarpSync,
         "is executed after warp 3 of its warpgroup has exited");
  // Descriptors, and whether D counts.
  expect("shr.u32 %t1, %t0, 5; cvt.u64.u32 %d6, %t1;\n"
         "add.s64 %d4, %d4, %d6;\n" +
             Fence + multiply() + Commit + wait(0),
         ReportKind::WarpSync,
         "has other matrix descriptors than in warp 3 of its warpgroup");
  expect(isTwo + Fence + multiply(0, false, "%p1") + Commit + wait(0),
         ReportKind::WarpSync,
         "has another scale-d than in warp 3 of its warpgroup");
  // Two warpgroups are free of each other.
  auto outcome =
      launch("setp.lt.u32 %p1, %t0, 128;\n" + Fence + "@%p1 bra SKIP;\n" +
                 multiply() + "SKIP:\n" + Commit + wait(0),
             256);
  EXPECT_TRUE(outcome) << outcome.report().str();
}

TEST_F(WgmmaHazardTest, RequiresUniformOperands) {
  expect("cvt.u64.u32 %d6, %t0; shl.b64 %d6, %d6, 4; add.s64 %d5, %d5, %d6;\n" +
             Fence + multiply(),
         ReportKind::WarpSync, "has another descriptor of B than in lane 0");
  expect("mov.u32 %t1, %laneid; setp.lt.u32 %p1, %t1, 5;\n" + Fence +
             multiply(0, false, "%p1"),
         ReportKind::WarpSync, "has another scale-d than in lane 0");
}

TEST_F(WgmmaHazardTest, DoesNotDependOnTheSchedule) {
  const std::string body = Fence + multiply() + Commit + multiply(4) + Commit +
                           wait(1) + "add.f32 %r0, %r0, %r0;\n" + wait(0);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    LaunchOptions options;
    options.scheduleSeed = seed;
    auto outcome = launch(body, 256, options);
    EXPECT_TRUE(outcome) << outcome.report().str();
  }
}

} // namespace

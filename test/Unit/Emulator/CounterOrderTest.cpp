//===- CounterOrderTest.cpp - Order through counters in memory --*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Guards what many threads know of each other that modify one counter: who
// acquires the end of a release sequence knows everything before it, over any
// number of blocks, and only that; and the price of a modification does not
// grow with those before it.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

using namespace ropewalk::emulator;

namespace {

struct CounterOrderTest : Fixture {
  /// %r0 is the number of the warp, %r1 that of its lane, %r2 the warps of the
  /// block; p0 is a counter in global memory.
  static std::string text(const std::string &body) {
    return ".version 8.0\n.target sm_80\n.address_size 64\n"
           ".shared .align 4 .b32 words[32];\n.shared .align 4 .b32 ticket;\n"
           ".visible .entry k(.param .u64 p0)\n{\n"
           ".reg .pred %p<4>; .reg .b32 %r<12>; .reg .b64 %d<4>;\n"
           "ld.param.u64 %d0, [p0];\n"
           "mov.u32 %r0, %tid.x; shr.u32 %r0, %r0, 5; mov.u32 %r1, %laneid; "
           "mov.u32 %r2, %ntid.x; shr.u32 %r2, %r2, 5;\n" +
           body + "\nret;\n}\n";
  }
  LaunchResult launch(const std::string &body, unsigned blocks, unsigned warps,
                      const LaunchOptions &options) {
    return run(text(body), {blocks}, {32 * warps},
               arguments(upload(std::vector<uint32_t>(1, 0))), 0, options);
  }
};

/// Each warp writes its word and modifies the counter, which the last warp of
/// each block reads before it reads all words.
std::string gather(const std::string &modify, const std::string &read) {
  return "mov.u32 %r3, words; shl.b32 %r4, %r0, 2; add.u32 %r4, %r3, %r4;\n"
         "setp.ne.u32 %p0, %r1, 0; setp.eq.u32 %p1, %r0, 0;\n"
         "@%p0 bra READY;\n@%p1 st.shared.u32 [ticket], 0;\n"
         "READY: bar.sync 0;\n@%p0 bra DONE;\n"
         "st.shared.u32 [%r4], %r0;\natom." +
         modify +
         ".gpu.global.add.u32 %r5, [%d0], 1;\n"
         "atom.relaxed.cta.shared.add.u32 %r5, [ticket], 1;\n"
         "add.u32 %r5, %r5, 1; setp.ne.u32 %p2, %r5, %r2;\n@%p2 bra DONE;\n"
         "ld." +
         read +
         ".gpu.global.u32 %r6, [%d0];\nmov.u32 %r7, 0;\n"
         "NEXT: ld.shared.u32 %r6, [%r3]; add.u32 %r3, %r3, 4;\n"
         "add.u32 %r7, %r7, 1; setp.lt.u32 %p3, %r7, %r2; @%p3 bra NEXT;\n"
         "DONE:";
}

TEST_F(CounterOrderTest, ShowsAllWarpsToTheLast) {
  // Other blocks modify the counter in between.
  for (unsigned blocks : {1u, 3u})
    for (uint64_t seed = 0; seed < 8; ++seed) {
      LaunchOptions options;
      options.scheduleSeed = seed;
      for (const char *modify : {"acq_rel", "release"}) {
        auto clean = launch(gather(modify, "acquire"), blocks, 8, options);
        EXPECT_TRUE(clean) << modify << " " << clean.report().str();
      }
      // Nobody releases, or nobody acquires.
      for (auto [modify, read] : {std::pair("relaxed", "acquire"),
                                  {"acquire", "acquire"},
                                  {"release", "relaxed"}}) {
        auto race = launch(gather(modify, read), blocks, 8, options);
        ASSERT_FALSE(race) << modify;
        EXPECT_EQ(race.report().kind, ReportKind::SharedRace)
            << race.report().str();
      }
    }
}

TEST_F(CounterOrderTest, CostsNoMoreTheMoreThereWereBefore) {
  // Takes hours where each modification looks at all before it.
  const std::string loop =
      "LOOP: atom.acq_rel.gpu.global.add.u32 %r3, [%d0], 1;\nbra LOOP;";
  LaunchOptions options;
  options.instructionBudget = 3000;
  options.scheduleSeed = 7;
  auto outcome = launch(loop, 2, 2, options);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.report().kind, ReportKind::InstructionBudget)
      << outcome.report().str();
}

} // namespace

//===- WgmmaPipelineTest.cpp - Stages that wgmma reads ----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Guards the usual pipeline of a warp that copies and a warpgroup that
// multiplies: each wait and each fence that it is built of is missed when it is
// not there, whatever the schedule.
//
//===----------------------------------------------------------------------===//

#include "AsyncHarness.h"

using namespace ropewalk::emulator;

namespace {

constexpr unsigned Stages = 2, Rounds = 5, StageBytes = 2560;

struct WgmmaPipelineTest : AsyncTest {
  /// Where the rounds differ: `lag` multiplications stay under way while the
  /// stages of those before are handed back.
  static std::string text(unsigned lag) {
    std::string body =
        "ld.param.u64 %d1, [p0]; ld.param.u64 %d2, [p1];\n"
        "mov.u32 %r1, data; mov.u32 %r2, bars; mov.u32 %r10, %tid.x;\n"
        "shr.u32 %r3, %r1, 4; cvt.u64.u32 %d3, %r3;\n"
        "setp.eq.u32 %p1, %r10, 128; setp.ge.u32 %p2, %r10, 128;\n";
    for (unsigned stage = 0; stage < Stages; ++stage)
      body += "@%p1 mbarrier.init.shared::cta.b64 [%r2+" + full(stage) +
              "], 1;\n@%p1 mbarrier.init.shared::cta.b64 [%r2+" + empty(stage) +
              "], 128;\n";
    body += "bar.sync 0;\n@%p2 bra PRODUCE;\n"
            "mov.f32 %f0, 0f00000000; mov.f32 %f1, %f0; mov.f32 %f2, %f0; "
            "mov.f32 %f3, %f0;\n";
    for (unsigned round = 0; round < Rounds; ++round)
      body += consume(round, lag);
    body += "wgmma.wait_group.sync.aligned 0; // last\n"
            "mul.wide.u32 %d4, %r10, 16; add.s64 %d4, %d2, %d4;\n"
            "st.global.v4.f32 [%d4], {%f0, %f1, %f2, %f3};\nbra DONE;\n"
            "PRODUCE: @!%p1 bra DONE;\n";
    for (unsigned round = 0; round < Rounds; ++round)
      body += produce(round);
    return hopperText(body + "DONE:\n", 2,
                      ".shared .align 128 .b8 data[" +
                          std::to_string(Stages * StageBytes) +
                          "];\n.shared .align 8 .b64 bars[4];");
  }
  static std::string full(unsigned stage) { return std::to_string(8 * stage); }
  static std::string empty(unsigned stage) {
    return std::to_string(8 * (Stages + stage));
  }
  static std::string wait(const std::string &label, const std::string &barrier,
                          unsigned parity) {
    return label + ": mbarrier.try_wait.parity.shared::cta.b64 %p5, [%r2+" +
           barrier + "], " + std::to_string(parity) + ";\n@!%p5 bra " + label +
           ";\n";
  }
  /// `text` without the wait of that label: a poll that is not repeated may
  /// still succeed.
  static std::string without(const std::string &text,
                             const std::string &label) {
    size_t begin = text.find(label + ": mbarrier.try_wait");
    std::string last = "bra " + label + ";\n";
    size_t end = text.find(last, begin);
    EXPECT_NE(end, std::string::npos) << label;
    return text.substr(0, begin) + text.substr(end + last.size());
  }
  static std::string produce(unsigned round) {
    unsigned stage = round % Stages, parity = round / Stages % 2;
    std::string bytes = std::to_string(StageBytes);
    return wait("P" + std::to_string(round), empty(stage), parity ^ 1) +
           "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2+" + full(stage) +
           "], " + bytes +
           ";\ncp.async.bulk.shared::cluster.global.mbarrier::complete_tx::"
           "bytes [%r1+" +
           std::to_string(stage * StageBytes) + "], [%d1], " + bytes +
           ", [%r2+" + full(stage) + "];\n";
  }
  /// A has 64 rows, B 8, both 16 elements wide: 16 and 2 pieces of 8 rows of 16
  /// bytes.
  static std::string consume(unsigned round, unsigned lag) {
    unsigned stage = round % Stages, parity = round / Stages % 2;
    std::string number = std::to_string(round);
    auto descriptor = [&](unsigned offset) {
      uint64_t bits = uint64_t(128 / 16) << 16 | uint64_t(256 / 16) << 32;
      return std::to_string(bits + (stage * StageBytes + offset) / 16);
    };
    std::string text =
        wait("C" + number, full(stage), parity) + "add.s64 %d10, %d3, " +
        descriptor(0) + "; add.s64 %d11, %d3, " + descriptor(2048) +
        ";\nwgmma.fence.sync.aligned; // before round " + number +
        "\nwgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 "
        "{%f0, %f1, %f2, %f3}, %d10, %d11, 1, 1, 1, 0, 0;\n"
        "wgmma.commit_group.sync.aligned;\n"
        "wgmma.wait_group.sync.aligned " +
        std::to_string(lag) + "; // of round " + number + "\n";
    if (round >= lag)
      text += "mbarrier.arrive.shared::cta.b64 _, [%r2+" +
              empty((round - lag) % Stages) + "];\n";
    return text;
  }

  void SetUp() override {
    input = upload(std::vector<uint16_t>(StageBytes / 2, 0x3c00));
    output = upload(std::vector<float>(512, 0));
  }
  void report(const std::string &text, std::vector<ReportKind> kinds,
              const std::string &part = "") {
    expectReportAlways(text, {1}, {160}, arguments(input, output), kinds, part);
  }
  const std::vector<ReportKind> hazards{ReportKind::AsyncHazard,
                                        ReportKind::MbarrierMisuse};
  uint64_t input = 0, output = 0;
};

TEST_F(WgmmaPipelineTest, RunsAsItIs) {
  for (unsigned lag : {0u, 1u})
    expectClean(text(lag), {1}, {160}, arguments(input, output), [&] {
      for (float value : download<float>(output, 512))
        ASSERT_EQ(value, 16.0f * Rounds);
    });
}

TEST_F(WgmmaPipelineTest, ReusedStagesHaveToBeEmpty) {
  // The first rounds find fresh stages.
  for (unsigned round : {0u, 1u})
    expectClean(without(text(0), "P" + std::to_string(round)), {1}, {160},
                arguments(input, output));
  for (unsigned round : {2u, 3u, 4u})
    for (unsigned lag : {0u, 1u})
      report(without(text(lag), "P" + std::to_string(round)), hazards);
}

TEST_F(WgmmaPipelineTest, StagesHaveToBeFull) {
  for (unsigned round : {0u, 1u, 2u, 4u})
    report(without(text(0), "C" + std::to_string(round)),
           {ReportKind::AsyncHazard, ReportKind::UninitializedMemory,
            ReportKind::SharedRace});
}

TEST_F(WgmmaPipelineTest, StagesAreHandedBackAfterTheWait) {
  for (unsigned round : {0u, 1u, 2u})
    report(replaced(text(0),
                    "wgmma.wait_group.sync.aligned 0; // of round " +
                        std::to_string(round),
                    ""),
           hazards, "may still read");
  // The last rounds hand back what nobody fills again.
  expectClean(
      replaced(text(0), "wgmma.wait_group.sync.aligned 0; // of round 4", ""),
      {1}, {160}, arguments(input, output));
  for (unsigned round : {1u, 2u, 3u})
    report(replaced(text(1),
                    "wgmma.wait_group.sync.aligned 1; // of round " +
                        std::to_string(round),
                    ""),
           hazards, "may still read");
}

TEST_F(WgmmaPipelineTest, ResultsComeAfterTheWait) {
  report(replaced(text(1), "wgmma.wait_group.sync.aligned 0; // last", ""),
         {ReportKind::RegisterHazard}, "in the hands of the wgmma");
}

TEST_F(WgmmaPipelineTest, AccumulatorsAreWrittenBeforeAFence) {
  report(replaced(text(0), "wgmma.fence.sync.aligned; // before round 0", ""),
         {ReportKind::RegisterHazard}, "is not preceded by a wgmma.fence");
  // No register is touched between two rounds.
  expectClean(
      replaced(text(0), "wgmma.fence.sync.aligned; // before round 2", ""), {1},
      {160}, arguments(input, output));
  for (const std::string &change : {std::string("mov.f32 %f1, 0f00000000;"),
                                    std::string("add.f32 %f1, %f1, %f1;")}) {
    std::string touched =
        replaced(text(0), "wgmma.fence.sync.aligned; // before round 2",
                 change + "\nwgmma.fence.sync.aligned; // before round 2");
    expectClean(touched, {1}, {160}, arguments(input, output));
    report(replaced(touched, "wgmma.fence.sync.aligned; // before round 2", ""),
           {ReportKind::RegisterHazard}, "has used since the last wgmma.fence");
  }
}

} // namespace

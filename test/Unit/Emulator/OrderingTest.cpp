//===- OrderingTest.cpp - Random programs against exact clocks --*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Small random programs whose races are known run under several schedules. No
// report may be false, and hardly a race may go unseen.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"
#include "RandomProgram.h"

#include <cstdlib>

using namespace ropewalk::emulator;

namespace {

struct OrderingTest : Fixture {
  /// Number of the access in a line of the text; 0 if there is none.
  static unsigned accessAt(const std::string &text, uint32_t line) {
    size_t start = 0;
    for (uint32_t i = 1; i < line; ++i)
      start = text.find('\n', start) + 1;
    std::string row = text.substr(start, text.find('\n', start) - start);
    size_t mark = row.find("// access ");
    return mark == std::string::npos
               ? 0
               : unsigned(std::stoul(row.substr(mark + 10)));
  }

  /// Programs with the seeds 1 to `count`. At most `missedPercent` of the runs
  /// of racy programs may go through.
  void check(const ProgramShape &shape, unsigned count,
             unsigned missedPercent) {
    unsigned racy = 0, clean = 0, missed = 0;
    if (const char *text = std::getenv("ROPEWALK_RANDOM_PROGRAMS"))
      count = unsigned(std::atoi(text));
    uint64_t memory = device.allocate(RandomProgram::bytes());
    for (unsigned seed = 1; seed <= count; ++seed) {
      RandomProgram program(seed, shape);
      std::string text =
          entryText(program.body(), 1, RandomProgram::variables());
      (program.hasRace() ? racy : clean) += 1;
      auto module = parse(text);
      ASSERT_TRUE(module);
      for (uint64_t schedule : {0, 1, 2}) {
        std::string first;
        for (unsigned threads : {1u, 2u}) {
          LaunchOptions options;
          options.scheduleSeed = schedule * 991 + (schedule ? seed : 0);
          options.threads = threads;
          options.checkUninitializedMemory = false;
          device.fill(memory, 0, RandomProgram::bytes());
          auto result = device.launch(module->kernels()[0], {shape.blocks},
                                      {shape.warpsPerBlock * 32}, 0,
                                      arguments(memory).spans(), options);
          std::string outcome = result ? "ran" : result.report().str();
          if (threads == 1)
            first = outcome;
          ASSERT_EQ(first, outcome) << "depends on the number of threads, seed "
                                    << seed << " " << schedule << "\n"
                                    << text;
          if (shape.blocks == 1)
            break;
        }
        if (first == "ran") {
          missed += program.hasRace();
          continue;
        }
        expectTrue(program, shape, text, seed, options(seed, schedule));
        if (HasFatalFailure())
          return;
      }
    }
    EXPECT_LE(missed * 100, racy * 3 * missedPercent)
        << missed << " of " << racy << " programs with races, " << clean
        << " without";
    EXPECT_GT(racy, count / 10);
    EXPECT_GT(clean, count / 20);
  }

  static LaunchOptions options(unsigned seed, uint64_t schedule) {
    LaunchOptions options;
    options.scheduleSeed = schedule * 991 + (schedule ? seed : 0);
    options.checkUninitializedMemory = false;
    return options;
  }

  /// Checks that the report of a run is about a race.
  void expectTrue(const RandomProgram &program, const ProgramShape &shape,
                  const std::string &text, unsigned seed,
                  const LaunchOptions &options) {
    uint64_t memory = device.allocate(RandomProgram::bytes());
    device.fill(memory, 0, RandomProgram::bytes());
    auto result = run(text, {shape.blocks}, {shape.warpsPerBlock * 32},
                      arguments(memory), 0, options);
    modules.clear();
    device.free(memory);
    ASSERT_FALSE(bool(result));
    const Report &report = result.report();
    ASSERT_EQ(report.kind,
              shape.isGlobal ? ReportKind::GlobalRace : ReportKind::SharedRace)
        << "seed " << seed << ": " << report.str() << "\n"
        << text;
    unsigned access = accessAt(text, report.location.line);
    unsigned other = unsigned(
        (report.other.block * shape.warpsPerBlock + report.other.warp) * 32);
    bool isRace = false;
    for (unsigned lane = 0; lane < 32; ++lane)
      if (report.other.lane < 0 || report.other.lane == int(lane))
        isRace |= program.isRace(access, other + lane);
    ASSERT_TRUE(isRace) << "false report, seed " << seed << " schedule "
                        << options.scheduleSeed << ": " << report.str() << "\n"
                        << text;
  }
};

// Guards barriers of the block and of warps, in shared memory.
TEST_F(OrderingTest, Barriers) { check(ProgramShape(), 600, 1); }

// Guards release and acquire patterns with fences and without.
TEST_F(OrderingTest, Flags) {
  ProgramShape shape;
  shape.hasFlags = true;
  check(shape, 600, 1);
}

// Guards global memory within a block.
TEST_F(OrderingTest, GlobalMemoryOfABlock) {
  ProgramShape shape;
  shape.isGlobal = true;
  shape.hasStrong = false;
  check(shape, 300, 1);
}

// Guards blocks that do not communicate: every report is the same for any
// number of host threads.
TEST_F(OrderingTest, BlocksApart) {
  ProgramShape shape;
  shape.blocks = 3;
  shape.warpsPerBlock = 2;
  shape.isGlobal = true;
  shape.hasStrong = false;
  shape.narrowest = 4;
  check(shape, 300, 1);
}

// Guards flags between blocks, with scopes that reach them or not.
TEST_F(OrderingTest, BlocksThatCommunicate) {
  ProgramShape shape;
  shape.blocks = 3;
  shape.warpsPerBlock = 2;
  shape.isGlobal = true;
  shape.hasFlags = true;
  check(shape, 600, 1);
}

} // namespace

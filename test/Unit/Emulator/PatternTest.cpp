//===- PatternTest.cpp - Recurring addresses of a warp ----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Addresses of a few patterns in turn at one instruction: parts of warps,
// repeated, strided, swizzled and random addresses, up to the last byte of the
// memory. What the emulator loads, counts and reports is compared with the
// model of PatternModel.h. Guards the patterns that the emulator remembers by
// instruction.
//
//===----------------------------------------------------------------------===//

#include "PatternModel.h"

using namespace ropewalk::emulator;

namespace {

struct PatternTest : Fixture {
  std::mt19937 engine;
  std::vector<Shape> shapes;

  int pick(int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(engine);
  }

  Step randomStep(const Form &form) {
    Step step;
    step.isStore = pick(0, 2) == 0;
    const Shape &shape = shapes[size_t(pick(0, int(shapes.size()) - 1))];
    int slots = int(MemoryBytes / form.bytes());
    int room = slots - *std::max_element(shape.begin(), shape.end());
    // Often at the end, or where a page of the emulator's ends.
    int where = pick(0, 4), middle = slots / 2 - pick(0, 31);
    int first = where == 0                    ? room - 1
                : where == 1 && middle < room ? middle
                                              : pick(0, room - 1);
    for (unsigned lane = 0; lane < 32; ++lane)
      step.place[lane] =
          shape[lane] < 0 ? Idle : uint32_t(first + shape[lane]) * form.bytes();
    return step;
  }

  std::vector<Round> randomRounds(const Form &form, uint32_t pairs) {
    shapes.clear();
    for (int i = pick(1, 7); i > 0; --i) {
      shapes.push_back(randomShape(engine));
      // Some differ only a little from another one.
      if (shapes.size() > 1 && pick(0, 1)) {
        shapes.back() = shapes[size_t(pick(0, int(shapes.size()) - 2))];
        for (int j = pick(1, 3); j > 0; --j)
          shapes.back()[size_t(pick(0, 31))] = pick(-1, 40);
      }
    }
    std::vector<Round> rounds;
    while (rounds.size() < pairs * 2) {
      Round pair[2];
      bool isFree = false;
      for (int attempt = 0; attempt < 20 && !isFree; ++attempt) {
        for (Round &round : pair)
          for (Step &step : round)
            step = randomStep(form);
        isFree = !hasRace(pair, 2, form.bytes());
      }
      if (!isFree)
        for (Round &round : pair)
          for (Step &step : round)
            step.isStore = false;
      rounds.insert(rounds.end(), {pair[0], pair[1]});
    }
    return rounds;
  }

  struct Outcome {
    LaunchResult result;
    std::vector<uint64_t> sums;
    uint64_t memory = 0; ///< Its address.
  };

  /// `hole` is a word that is not initialized.
  Outcome execute(const Form &form, bool isShared,
                  const std::vector<Round> &rounds, uint32_t hole = MemoryBytes,
                  bool checks = true) {
    std::vector<uint32_t> table;
    for (const Round &round : rounds)
      for (const Step &step : round)
        for (uint32_t place : step.place)
          table.push_back(place == Idle || !step.isStore ? place
                                                         : place | IsStore);
    uint64_t out = device.allocate(table.size() * 8);
    uint64_t memory = device.allocate(Before + MemoryBytes) + Before;
    LaunchOptions options;
    options.scheduleSeed = uint64_t(pick(0, 1000));
    options.checkRaces = checks;
    LaunchResult result =
        run(kernelText(form, isShared), {1}, {Threads},
            arguments(upload(table), out, memory, uint64_t(rounds.size()),
                      uint64_t(hole)),
            0, options);
    Outcome outcome{std::move(result), {}, memory};
    if (outcome.result)
      outcome.sums = download<uint64_t>(out, table.size());
    return outcome;
  }

  /// Programs without a race: values and counters.
  void expectExact(bool isShared, bool checks = true) {
    for (const Form &form : forms)
      for (int trial = 0; trial < 6; ++trial) {
        SCOPED_TRACE(std::string(form.type) + " trial " +
                     std::to_string(trial));
        std::vector<Round> rounds = randomRounds(form, 12);
        if (!checks)
          for (Round &round : rounds) {
            round = {randomStep(form), randomStep(form)};
            round[1].place.fill(Idle);
          }
        Outcome outcome = execute(form, isShared, rounds, MemoryBytes, checks);
        ASSERT_RAN(outcome.result);
        Model model(form);
        for (uint32_t i = 0; i < rounds.size(); ++i)
          model.execute(i, rounds[i]);
        EXPECT_EQ(outcome.sums, model.sums);
        const Counters &counters = outcome.result.counters();
        // Without the program's own table, results and initial values: four
        // sectors or one transaction for 128 bytes, twice that for results.
        uint64_t own = rounds.size() * 2, start = MemoryBytes / 128;
        if (isShared) {
          EXPECT_EQ(counters.sharedLoadRequests, model.requests[0]);
          EXPECT_EQ(counters.sharedLoadTransactions, model.transactions[0]);
          EXPECT_EQ(counters.sharedLoadConflicts, model.conflicts[0]);
          EXPECT_EQ(counters.sharedStoreRequests - start, model.requests[1]);
          EXPECT_EQ(counters.sharedStoreTransactions - start,
                    model.transactions[1]);
          EXPECT_EQ(counters.sharedStoreConflicts, model.conflicts[1]);
        } else {
          EXPECT_EQ(counters.globalLoadSectors - own * 4, model.sectors[0]);
          EXPECT_EQ(counters.globalStoreSectors - own * 8 - start * 4,
                    model.sectors[1]);
          EXPECT_EQ(counters.globalLoadRequests - own, model.requests[0]);
        }
      }
  }

  /// Programs whose last two rounds are anything.
  void expectRaces(bool isShared) {
    unsigned found = 0, clean = 0;
    for (const Form &form : forms)
      for (int trial = 0; trial < 60; ++trial) {
        SCOPED_TRACE(std::string(form.type) + " trial " +
                     std::to_string(trial));
        std::vector<Round> rounds = randomRounds(form, 3);
        // Patterns that have been seen, and places that overlap a little.
        Round last[2];
        for (Round &round : last)
          for (Step &step : round)
            step = randomStep(form);
        // Often the second warp touches but one place of the first one.
        if (pick(0, 2)) {
          Step &one = last[0][0], &other = last[0][1];
          size_t lane = size_t(pick(0, 31));
          last[1] = last[0];
          one.isStore = pick(0, 1);
          last[1][0].place.fill(Idle);
          last[1][1].place.fill(Idle);
          other.place.fill(Idle);
          other.place[size_t(pick(0, 31))] = one.place[lane];
          other.isStore = !one.isStore || pick(0, 1);
        }
        rounds.insert(rounds.end(), {last[0], last[1]});
        bool isRacy = hasRace(last, 2, form.bytes());
        Outcome outcome = execute(form, isShared, rounds);
        (isRacy ? found : clean) += 1;
        ASSERT_EQ(bool(outcome.result), !isRacy)
            << (isRacy ? "not found" : outcome.result.report().str());
        if (!isRacy)
          continue;
        const Report &report = outcome.result.report();
        EXPECT_EQ(report.kind,
                  isShared ? ReportKind::SharedRace : ReportKind::GlobalRace)
            << report.str();
        // The two lanes named do touch the byte, and one of them stores.
        uint64_t byte = report.address - (isShared ? 0 : outcome.memory);
        auto touches = [&](int warp, int lane, bool stores) {
          for (const Round &round : last) {
            const Step &step = round[size_t(warp)];
            uint32_t place = step.place[size_t(lane)];
            if (place != Idle && (!stores || step.isStore) && byte >= place &&
                byte < place + form.bytes())
              return true;
          }
          return false;
        };
        EXPECT_TRUE(touches(report.warp, report.lane, false) &&
                    touches(report.other.warp, report.other.lane, false) &&
                    (touches(report.warp, report.lane, true) ||
                     touches(report.other.warp, report.other.lane, true)))
            << report.str();
      }
    EXPECT_GT(found, 40u);
    EXPECT_GT(clean, 20u);
  }
};

TEST_F(PatternTest, SharedMemory) { expectExact(true); }
TEST_F(PatternTest, GlobalMemory) { expectExact(false); }
/// Lanes of one store that overlap: the last one stays.
TEST_F(PatternTest, WithoutChecks) {
  expectExact(true, false);
  expectExact(false, false);
}
TEST_F(PatternTest, SharedRaces) { expectRaces(true); }
TEST_F(PatternTest, GlobalRaces) { expectRaces(false); }

/// A pattern seen before, at a place where it is an error for one lane.
TEST_F(PatternTest, BadPlaces) {
  for (bool isShared : {true, false})
    for (const Form &form : forms)
      for (int trial = 0; trial < 60; ++trial) {
        SCOPED_TRACE(std::string(form.type) + " trial " +
                     std::to_string(trial));
        shapes.assign(1, randomShape(engine));
        std::vector<Round> rounds;
        for (int i = 0; i < 4; ++i) {
          Round round{randomStep(form), randomStep(form)};
          round[0].isStore = round[1].isStore = false;
          rounds.push_back(round);
        }
        Step step = rounds.back()[0];
        auto lanes = [&](auto f) {
          for (unsigned lane = 0; lane < 32; ++lane)
            if (step.isActive(lane))
              f(lane);
        };
        uint32_t highest = 0;
        lanes([&](unsigned i) { highest = std::max(highest, step.place[i]); });
        int expected = -1;
        uint32_t hole = MemoryBytes;
        ReportKind kind = ReportKind::OutOfBounds;
        uint32_t bytes = form.bytes();
        switch (trial % 3) {
        case 0: // Its end sticks out.
          lanes([&](unsigned i) { step.place[i] += MemoryBytes - highest; });
          lanes([&](unsigned i) {
            if (expected < 0 && step.place[i] >= MemoryBytes)
              expected = int(i);
          });
          break;
        case 1:
          if (bytes == 1)
            continue;
          kind = ReportKind::Misaligned;
          lanes([&](unsigned i) { step.place[i] ^= bytes / 2; });
          lanes(
              [&](unsigned i) { expected = expected < 0 ? int(i) : expected; });
          if (highest + bytes / 2 + bytes > MemoryBytes)
            continue;
          break;
        default: // A word that no other round has read.
          kind = ReportKind::UninitializedMemory;
          hole = highest / 4;
          lanes([&](unsigned i) {
            if (expected < 0 &&
                overlap(step.place[i] / 4 * 4, hole * 4, std::max(bytes, 4u)))
              expected = int(i);
          });
          bool isRead = false;
          for (Round &round : rounds)
            for (Step &other : round)
              for (uint32_t place : other.place)
                isRead |= place != Idle && &other != &rounds.back()[0] &&
                          overlap(place / 4 * 4, hole * 4, std::max(bytes, 4u));
          if (isRead)
            continue;
        }
        if (expected < 0)
          continue;
        rounds.back()[0] = step;
        Outcome outcome = execute(form, isShared, rounds, hole);
        ASSERT_FALSE(bool(outcome.result));
        const Report &report = outcome.result.report();
        EXPECT_EQ(report.kind, kind) << report.str();
        EXPECT_EQ(report.warp, 0) << report.str();
        EXPECT_EQ(report.lane, expected) << report.str();
      }
}

/// Words become valid by the stores of a pattern seen before.
TEST_F(PatternTest, StoresInitialize) {
  for (bool isShared : {true, false})
    for (const Form &form : forms)
      for (int trial = 0; trial < 12; ++trial) {
        Shape shape;
        do
          shape = randomShape(engine);
        while (std::set<int>(shape.begin(), shape.end()).size() <
               32 - size_t(std::max<long>(
                        0, std::count(shape.begin(), shape.end(), -1) - 1)));
        shapes.assign(1, shape);
        Step step = randomStep(form), idle;
        idle.place.fill(Idle);
        step.isStore = true;
        Step load = step;
        load.isStore = false;
        std::vector<uint32_t> places;
        for (uint32_t place : step.place)
          if (place != Idle)
            places.push_back(place + form.bytes() - 1);
        if (places.empty())
          continue;
        uint32_t hole = places[size_t(pick(0, int(places.size()) - 1))] / 4;
        // The store is the third one with the pattern.
        std::vector<Round> rounds;
        for (int i = 0; i < 2; ++i) {
          Step other = randomStep(form);
          other.isStore = true;
          rounds.insert(rounds.end(), {Round{other, idle}, Round{idle, idle}});
        }
        rounds.insert(rounds.end(), {Round{step, idle}, Round{idle, idle},
                                     Round{load, load}, Round{load, load}});
        ASSERT_RAN(execute(form, isShared, rounds, hole).result)
            << form.type << " trial " << trial;
      }
}

/// Lanes that load one word do not know of each other's earlier stores.
TEST_F(PatternTest, StrongStoreOfOneReader) {
  for (std::string space : {"shared", "global"})
    for (const char *read :
         {"mov.b64 %d6, %d2;\n",                               // All alike.
          "and.b64 %d6, %d1, 16; add.u64 %d6, %d6, %d2;\n"}) { // Two words.
      std::string text = entryText(
          "mov.u32 %r1, %tid.x; cvt.u64.u32 %d1, %r1;\n" +
              std::string(space == "shared" ? "mov.u64 %d2, s;\n"
                                            : "ld.param.u64 %d2, [p0];\n") +
              "shl.b64 %d5, %d1, 2; add.u64 %d5, %d5, %d2;\n"
              "st." +
              space + ".u32 [%d5], %r1; bar.sync 0;\n" + read +
              "mov.u32 %r7, 0;\n"
              // More than twice, so that the pattern is known.
              "LOOP: ld." +
              space +
              ".u32 %r8, [%d6];\n"
              "bar.sync 0;\n"
              "setp.eq.u32 %p1, %r7, 3; setp.eq.and.u32 %p2, %r1, 3, %p1;\n"
              "@%p2 st.volatile." +
              space +
              ".u32 [%d2], %r1;\n"
              "add.u32 %r7, %r7, 1; setp.lt.u32 %p3, %r7, 5;\n"
              "@%p3 bra LOOP; ret;",
          1, ".shared .align 16 .b8 s[128];\n");
      auto result = run(text, {1}, {32}, arguments(device.allocate(128)));
      ASSERT_FALSE(bool(result)) << space << " " << read;
      EXPECT_EQ(result.report().kind, space == "shared"
                                          ? ReportKind::SharedRace
                                          : ReportKind::GlobalRace)
          << result.report().str();
      EXPECT_EQ(result.report().other.lane, 3) << result.report().str();
    }
}

/// The same pattern with other values: stores of the same bytes by several
/// lanes are no race, but those of different bytes are.
TEST_F(PatternTest, RepeatedStores) {
  for (std::string space : {"shared", "global"})
    for (bool isRacy : {false, true}) {
      // Lanes 16 to 31 store to the words of lanes 0 to 15; in the last round
      // lane 20, perhaps, something else.
      std::string text = entryText(
          "mov.u32 %r1, %tid.x; ld.param.u64 %d2, [p0];\n" +
              std::string(space == "shared" ? "mov.u64 %d2, s;\n" : "") +
              "and.b32 %r2, %r1, 15; mul.wide.u32 %d3, %r2, 4;\n"
              "add.u64 %d3, %d3, %d2; mov.u32 %r7, 0;\n"
              "LOOP: setp.eq.u32 %p1, %r7, 4;\n"
              "setp.eq.and.u32 %p1, %r1, " +
              (isRacy ? "20" : "99") +
              ", %p1;\n"
              "selp.u32 %r3, 77, %r2, %p1; st." +
              space +
              ".u32 [%d3], %r3; bar.sync 0;\n"
              "add.u32 %r7, %r7, 1; setp.lt.u32 %p3, %r7, 5;\n"
              "@%p3 bra LOOP; ret;",
          1, ".shared .align 16 .b8 s[64];\n");
      auto result = run(text, {1}, {32}, arguments(device.allocate(64)));
      ASSERT_EQ(bool(result), !isRacy)
          << (isRacy ? "not found" : result.report().str());
      if (isRacy) {
        EXPECT_EQ(result.report().lane, 20) << result.report().str();
        EXPECT_EQ(result.report().other.lane, 4) << result.report().str();
      }
    }
}

/// Lanes 16 to 31 load what lane 0 loads, or do not take part: then nothing
/// forbids lane 0 to store there.
TEST_F(PatternTest, IdleLanesDoNotRead) {
  for (bool isShared : {true, false})
    for (const Form &form : forms) {
      Step all, half, store;
      store.isStore = true;
      store.place.fill(Idle);
      store.place[0] = 64;
      half.place.fill(Idle);
      for (uint32_t lane = 0; lane < 32; ++lane)
        all.place[lane] = 64 + (lane < 16 ? lane * form.bytes() : 0);
      std::copy_n(all.place.begin(), 16, half.place.begin());
      Step idle;
      idle.place.fill(Idle);
      std::vector<Round> rounds(4, Round{all, idle});
      rounds.insert(rounds.end(), 4, Round{half, idle});
      rounds.insert(rounds.end(), {Round{half, idle}, Round{store, idle}});
      ASSERT_RAN(execute(form, isShared, rounds).result) << form.type;
      rounds[8][0] = all;
      ASSERT_FALSE(bool(execute(form, isShared, rounds).result)) << form.type;
    }
}

/// Blocks that load in patterns and one that stores a word: the race between
/// blocks is found where the word is among those loaded, and the first lane
/// that loads it is named.
TEST_F(PatternTest, RacesBetweenBlocks) {
  unsigned found = 0;
  for (const Form &form : forms)
    for (int trial = 0; trial < 10; ++trial) {
      SCOPED_TRACE(std::string(form.type) + " trial " + std::to_string(trial));
      shapes.assign(2, randomShape(engine));
      std::vector<uint32_t> table;
      std::vector<Step> steps;
      for (int i = 0; i < 6; ++i) {
        steps.push_back(randomStep(form));
        table.insert(table.end(), steps.back().place.begin(),
                     steps.back().place.end());
      }
      uint32_t word = uint32_t(pick(0, 1023)) * 4;
      if (pick(0, 1))
        for (uint32_t place : steps[size_t(pick(0, 5))].place)
          word = place == Idle ? word : place / 4 * 4;
      char letter = form.size == 8 ? 'd' : form.size == 4 ? 'r' : 'h';
      std::string registers;
      for (uint32_t i = 0; i < form.count; ++i)
        registers +=
            (i ? ", %" : "%") + std::string(1, letter) + std::to_string(30 + i);
      if (form.count > 1)
        registers = "{" + registers + "}";
      std::string text = entryText(
          "mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x;\n"
          "ld.param.u64 %d1, [p0]; ld.param.u64 %d3, [p1];\n"
          "ld.param.u64 %d4, [p2]; cvt.u32.u64 %r4, %d4; mov.u32 %r5, 0;\n"
          "setp.eq.u32 %p1, %r2, 2; @%p1 bra WRITE;\n"
          "LOOP: shl.b32 %r6, %r5, 5; add.u32 %r6, %r6, %r1;\n"
          "mul.wide.u32 %d5, %r6, 4; add.u64 %d5, %d5, %d1;\n"
          "ld.global.u32 %r7, [%d5]; setp.ne.u32 %p2, %r7, 0xffffffff;\n"
          "cvt.u64.u32 %d6, %r7; add.u64 %d6, %d6, %d3;\n"
          "@%p2 ld.global" +
              std::string(form.type) + " " + registers +
              ", [%d6];\n"
              "add.u32 %r5, %r5, 1; setp.lt.u32 %p3, %r5, 6;\n"
              "@%p3 bra LOOP; ret;\n"
              "WRITE: setp.ne.u32 %p2, %r1, 0; @%p2 ret;\n"
              "cvt.u64.u32 %d6, %r4; add.u64 %d6, %d6, %d3;\n"
              "st.global.u32 [%d6], %r2; ret;",
          3);
      uint64_t memory =
          upload(std::vector<uint32_t>((Before + MemoryBytes) / 4, 5)) + Before;
      LaunchOptions options;
      options.threads = trial % 2 ? 2 : 1;
      auto result =
          run(text, {3}, {32}, arguments(upload(table), memory, uint64_t(word)),
              0, options);
      int lane = -1;
      uint32_t byte = 0;
      std::set<int> lanes;
      for (const Step &step : steps)
        for (int i = 0; i < 32; ++i) {
          uint32_t place = step.place[size_t(i)];
          if (place == Idle || place >= word + 4 ||
              place + form.bytes() <= word)
            continue;
          if (lanes.empty()) {
            byte = std::max(place, word);
            // Of lanes that all load the same none is named.
            bool isUniform = true, isAlone = true;
            for (int j = 0; j < 32; ++j)
              if (j != i && step.isActive(unsigned(j))) {
                isUniform &= step.place[size_t(j)] == place;
                isAlone = false;
              }
            lane = isUniform && !isAlone ? -1 : i;
          }
          lanes.insert(i);
        }
      ASSERT_EQ(bool(result), lanes.empty())
          << (lanes.empty() ? result.report().str() : "not found");
      if (lanes.empty())
        continue;
      ++found;
      const Report &report = result.report();
      EXPECT_EQ(report.kind, ReportKind::GlobalRace) << report.str();
      EXPECT_EQ(report.block, 2) << report.str();
      if (form.bytes() >= 4) {
        EXPECT_EQ(report.address, memory + byte) << report.str();
        EXPECT_EQ(report.other.lane, lane) << report.str();
      } else {
        // A word may have several.
        EXPECT_TRUE(report.other.lane < 0 || lanes.count(report.other.lane))
            << report.str();
      }
    }
  EXPECT_GT(found, 20u);
}

} // namespace
